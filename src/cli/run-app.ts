/**
 * `maitred run app.ts`: an instance in the foreground that ends, and is erased, with the command. The file is loaded in a process of
 * its own first, so that a broken one starts nothing.
 */
import { dirname, join } from "node:path";
import { isServeError, ServeError } from "../base/serve-error.ts";
import type { AppPlan, ServeClient } from "../client/client.ts";
import type { HttpConfig } from "../model/records.ts";
import { EXIT, paintOf, reportError } from "./terminal.ts";
import type { World } from "./world.ts";

export interface RunOptions {
  readonly file: string;
  readonly instance: string | undefined;
  readonly http: Partial<HttpConfig>;
  readonly timeoutMs: number | undefined;
}

export const runApp = async (world: World, options: RunOptions): Promise<number> => {
  const plan = await world.probe(options.file);
  const { client } = await world.launch({
    instance: options.instance ?? plan.name,
    http: options.http,
    stateDir: undefined,
    api: undefined,
    life: "mine",
  });
  const end = watchEnd(world, client);
  try {
    const applied = applyPlan(client, plan, options.timeoutMs, world);
    const endedBefore = await Promise.race([applied.then(() => undefined), end.ended]);
    if (endedBefore !== undefined) return endedBefore;
    await client.status(); // learns the URLs
    await sayWhereItAnswers(world, { client, plan, file: options.file });
  } catch (error) {
    if (end.isBegun()) return end.ended; // the calls failed because the instance ends
    end.begin();
    const status = reportError(world.terminal, error, "text");
    await client.shutdown().catch(() => {}); // the error above is the one to show; the owner rule ends what is left
    return status;
  }
  return end.ended;
};

/** Creates what the plan names and waits until it serves. */
const applyPlan = async (
  client: ServeClient,
  plan: AppPlan,
  timeoutMs: number | undefined,
  world: World,
): Promise<void> => {
  const progress = progressLine(world);
  try {
    await client.deployPlan(plan, { timeoutMs, onProgress: world.terminal.interactive ? progress.show : undefined });
  } finally {
    progress.clear();
  }
};

const progressLine = (world: World) => {
  let shown = false;
  return {
    show: (goal: {
      readonly progress?: { readonly done: number; readonly total: number } | undefined;
      readonly laggards?: readonly string[] | undefined;
    }) => {
      if (goal.progress === undefined) return;
      shown = true;
      world.terminal.err(
        `\r\u001b[Kstarting: ${goal.progress.done} of ${goal.progress.total} ready, waiting for ${goal.laggards?.join(", ") ?? ""}`,
      );
    },
    clear: () => {
      if (shown) world.terminal.err("\r\u001b[K");
    },
  };
};

interface End {
  /** Exit status of an end that nobody else reports: a signal, or an instance that went away by itself. */
  readonly ended: Promise<number>;
  isBegun(): boolean;
  /** The caller ends the instance, and reports it. */
  begin(): void;
}

/** First signal: drain, exit 0. Second: end at once; the agent sees its owner gone and ends the rest. */
const watchEnd = (world: World, client: ServeClient): End => {
  let begun = false;
  const ended = new Promise<number>((resolve) => {
    let signalled = false;
    world.onSignal((signal) => {
      if (signalled) world.exitNow(EXIT.failed);
      signalled = true;
      begun = true;
      world.terminal.err(`\n${signal}: finishing open requests; once more to end at once\n`);
      client.shutdown().then(
        () => resolve(EXIT.done),
        (error: unknown) =>
          resolve(
            isServeError(error) && error.code === "instance-unknown"
              ? EXIT.done
              : reportError(world.terminal, error, "text"),
          ),
      );
    });
    void client.untilGone().then(() => {
      if (begun) return;
      begun = true;
      resolve(reportError(world.terminal, new ServeError("instance-unknown", WENT_AWAY), "text"));
    });
  });
  return {
    ended,
    isBegun: () => begun,
    begin: () => {
      begun = true;
    },
  };
};

const WENT_AWAY = "the instance ended: somebody stopped it, or its agent could not go on; its log says why.";

const sayWhereItAnswers = async (
  world: World,
  { client, plan, file }: { readonly client: ServeClient; readonly plan: AppPlan; readonly file: string },
): Promise<void> => {
  const paint = paintOf(world.terminal);
  const base = client.urls[0] ?? "http://127.0.0.1:8000";
  const routes = plan.endpoints.flatMap(({ tag, endpoint }) => {
    const { route, methods } = endpoint as { route?: string; methods?: readonly string[] };
    return route === undefined ? [] : [{ tag, url: base + route, method: methods?.[0] ?? "GET" }];
  });
  const lines = [
    `${paint.bold(plan.name)} answers`,
    ...routes.map(({ tag, url, method }) => `  ${paint.green(url)}  ${paint.dim(`${tag}, ${method}`)}`),
    "try",
  ];
  const hints = await world.readText(join(dirname(file), "try.txt"));
  const tries = hints
    ?.trim()
    .split("\n")
    .map((line) => line.replaceAll("$URL", base)) ?? [
    ...routes
      .slice(0, 2)
      .map(({ url, method }) => `curl ${method === "GET" ? "" : `-X ${method} `}${url.replace(/\/\*$/, "/")}`),
    `curl ${base}/-/routes`,
  ];
  world.terminal.out(
    `${[...lines, ...tries.map((line) => `  ${line}`), paint.dim("Ctrl-C drains and ends it.")].join("\n")}\n`,
  );
};
