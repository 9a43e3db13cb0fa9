/**
 * `maitred run app.ts --watch`: whenever a file changes that the app has loaded, it is loaded anew and deployed, rolling. A file that
 * cannot be loaded, or whose replicas fail, is told in one line, and the version before serves on until it is mended.
 * Replicas run code that is kept, not what lies in the folder: one that starts again meanwhile runs the version that is deployed.
 */
import { isServeError, type ServeError } from "../base/serve-error.ts";
import type { ServeClient } from "../client/client.ts";
import type { AppChange } from "../model/app.ts";
import { applyPlan } from "./apply-plan.ts";
import { openStartWindow } from "./start-window.ts";
import { paintErrorsOf, paintOf } from "./terminal.ts";
import type { FoundApp, World } from "./world.ts";

export interface Watched {
  readonly client: ServeClient;
  readonly file: string;
  /** As it serves now. */
  readonly app: FoundApp;
  /** Timestamp from before it was loaded. */
  readonly loadedAt: number;
}

/** Goes on until the signal; then throws its reason. */
export const watchApp = async (
  world: World,
  { client, file, app, loadedAt }: Watched,
  signal: AbortSignal,
): Promise<never> => {
  let read = (await app.code).read;
  let since = loadedAt;
  for (;;) {
    await world.untilChanged(read, since, signal);
    signal.throwIfAborted();
    since = Date.now();
    const round = new AbortController();
    try {
      const found = await load(world, file, signal);
      read = (await found.code).read;
      // Whoever mends a version that is still starting does not wait for it to fail.
      const isOver = AbortSignal.any([signal, round.signal]);
      const mended = world.untilChanged(read, since, isOver).then(() => round.abort(MENDED));
      const { changes = [] } = await applyPlan(world, { client, plan: found.plan }, { signal: isOver });
      round.abort();
      await mended;
      if (changes.length > 0)
        world.terminal.out(`${paintOf(world.terminal).green("deployed")} ${changes.map(nameOf).join(", ")}\n`);
    } catch (error) {
      signal.throwIfAborted();
      if (error === MENDED) continue;
      round.abort();
      if (!isServeError(error)) throw error;
      read = [...new Set([...read, ...filesOf(error)])];
      const { red, dim } = paintErrorsOf(world.terminal);
      world.terminal.err(
        `${red("not deployed")} ${error.message} The version before serves on. ${dim(`[${error.code}]`)}\n`,
      );
    }
  }
};

const nameOf = ({ part }: AppChange): string => `${part.kind} ${part.tag}`;

const MENDED = Symbol("changed again");

const load = (world: World, file: string, interrupted: AbortSignal): Promise<FoundApp> =>
  openStartWindow({ file, timeoutMs: undefined, hasTimeout: false, interrupted }).load((signal) =>
    world.probe(file, signal),
  );

/** Those that were read until it failed: the mistake may lie in one that nobody has seen before. */
const filesOf = ({ details }: ServeError): readonly string[] =>
  (details["read"] as readonly string[] | undefined) ?? [];
