/**
 * `maitred run app.ts`: an instance in the foreground that ends, and is erased, with the command. The file is loaded in a process of
 * its own first, so that a broken one starts nothing. The first signal ends what there is, at any moment; the second ends the command
 * at once: the agent sees its owner gone and ends the rest.
 */
import { isServeError, ServeError } from "../base/serve-error.ts";
import type { AppPlan, ServeClient } from "../client/client.ts";
import type { ApiListener } from "../model/launch.ts";
import type { HttpConfig } from "../model/records.ts";
import { applyPlan } from "./apply-plan.ts";
import { sayWhereItAnswers } from "./say-where.ts";
import { tellOfStarts } from "./start-notices.ts";
import { openStartWindow, type StartWindow } from "./start-window.ts";
import { EXIT, reportError } from "./terminal.ts";
import { watchApp } from "./watch-app.ts";
import type { FoundApp, World } from "./world.ts";

export interface RunOptions {
  readonly file: string;
  readonly instance: string | undefined;
  readonly http: Partial<HttpConfig>;
  readonly metrics: ApiListener | undefined;
  /** `yes`: what changes is loaded and deployed anew; `no`: replicas load what lies in the folder when they start. */
  readonly watch: "yes" | "no";
  /** How long it may take until the app serves. Undefined: its import is bounded, and each replica's start by its configuration. */
  readonly timeoutMs: number | undefined;
}

/** Answers the exit status. */
export const runApp = async (world: World, options: RunOptions): Promise<number> => {
  const interrupted = world.interruption();
  const ended = new AbortController();
  let client: ServeClient | undefined;
  interrupted.addEventListener("abort", () => {
    const { signal } = (interrupted.reason as ServeError).details;
    const what = client === undefined ? "ending" : "finishing open requests";
    world.terminal.err(`\n${signal}: ${what}; once more to end at once\n`);
  });
  try {
    const window = openStartWindow({ ...options, hasTimeout: true, interrupted });
    const loadedAt = Date.now();
    const app = await window.load((signal) => world.probe(options.file, signal));
    const { plan } = app;
    ({ client } = await window.step("its instance did not answer", (signal) =>
      launch(world, { options, plan }, signal),
    ));
    // From here on nothing else ends the command.
    const over = Promise.race([untilGone(client, ended.signal), untilAborted(interrupted)]);
    const served = serve(world, { client, app, options }, window);
    if (options.watch === "yes") {
      const watched = { client, file: options.file, app, loadedAt };
      await Promise.race([over, served.then(() => watchApp(world, watched, interrupted))]);
    }
    if ((await Promise.race([over, served])) === undefined) await over;
    world.terminal.err("ended: somebody has stopped the instance\n");
    return EXIT.done;
  } catch (error) {
    const isWished = interrupted.aborted && error === interrupted.reason;
    const status = isWished ? EXIT.done : reportError(world.terminal, error, "text");
    const failure = await erase(client);
    return isWished && failure !== undefined ? reportError(world.terminal, failure, "text") : status;
  } finally {
    ended.abort();
  }
};

const launch = (
  world: World,
  { options, plan }: { readonly options: RunOptions; readonly plan: AppPlan },
  signal: AbortSignal,
) => {
  const instance = options.instance ?? plan.name;
  const { http, metrics } = options;
  return world.launch({ instance, http, metrics, stateDir: undefined, api: undefined, life: "mine" }, signal);
};

/** Resolves when the app answers and the terminal says where. */
const serve = async (
  world: World,
  run: { readonly client: ServeClient; readonly app: FoundApp; readonly options: RunOptions },
  window: StartWindow,
): Promise<undefined> => {
  const { client, app, options } = run;
  const { plan } = app;
  let lacking = "";
  const onWaiting = (laggards: readonly string[]): void => {
    lacking = laggards.length === 0 ? "" : ` (${laggards.join(", ")})`;
  };
  await window.step(
    () => `not everything was ready${lacking}`,
    async (signal) => {
      const toRun = options.watch === "yes" ? plan : await inFolder(app);
      const over = new AbortController();
      const notices = tellOfStarts(world.terminal, client, over.signal);
      try {
        await applyPlan(world, { client, plan: toRun, onWaiting }, { signal });
      } finally {
        over.abort();
        await notices;
      }
    },
  );
  await client.untilServing();
  await sayWhereItAnswers(world, { client, plan, file: options.file });
};

/** Replicas run what lies in the folder: only so does an edit take effect at their next start. */
const inFolder = async ({ plan, code }: FoundApp): Promise<AppPlan> => {
  const { backends } = await code;
  return { ...plan, backends: plan.backends.map((backend) => ({ ...backend, folder: backends[backend.tag] })) };
};

/** Resolves when somebody has ended the instance from elsewhere. */
const untilGone = async (client: ServeClient, signal: AbortSignal): Promise<"ended"> => {
  if ((await client.untilGone(signal)) === "told to end") return "ended";
  throw new ServeError("instance-unknown", "the instance ended, and nobody had told it to. Start it again.");
};

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason as ServeError);
    signal.addEventListener("abort", () => reject(signal.reason as ServeError));
  });

/** Answers why the instance could not be told to end; the end of its owner, this process, ends it then. */
const erase = async (client: ServeClient | undefined): Promise<unknown> => {
  try {
    await client?.shutdown();
    return undefined;
  } catch (error) {
    return isServeError(error) && error.code === "instance-unknown" ? undefined : error;
  }
};
