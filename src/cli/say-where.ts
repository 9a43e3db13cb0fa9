/** What `run` prints when the app serves: where it answers requests and scrapes, and lines to try. */
import { dirname, join } from "node:path";
import type { AppPlan, ServeClient } from "../client/client.ts";
import { type Paint, paintOf } from "./terminal.ts";
import type { World } from "./world.ts";

export const sayWhereItAnswers = async (
  world: World,
  { client, plan, file }: { readonly client: ServeClient; readonly plan: AppPlan; readonly file: string },
): Promise<void> => {
  const paint = paintOf(world.terminal);
  const base = client.urls[0];
  if (base === undefined) {
    world.terminal.out(`${paint.bold(plan.name)} runs, and no proxy listens yet. See: maitred status\n`);
    return;
  }
  const routes = plan.endpoints.flatMap(({ tag, endpoint }) => {
    const { route, methods } = endpoint as { route?: string; methods?: readonly string[] };
    if (route === undefined) return [];
    return [{ tag, url: base + route, takes: methods?.join(",") ?? "all", method: methods?.[0] ?? "GET" }];
  });
  const lines = [
    `${paint.bold(plan.name)} answers`,
    ...routes.map(({ tag, url, takes }) => `  ${paint.green(url)}  ${paint.dim(`${tag}, ${takes}`)}`),
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
  const scrapes = metricsLine(paint, (await client.status()).metrics);
  world.terminal.out(
    `${[...lines, ...tries.map((line) => `  ${line}`)].join("\n")}\n${scrapes}${paint.dim("Ctrl-C drains and ends it.")}\n`,
  );
};

/** Empty when nobody has asked for metrics. */
export const metricsLine = (paint: Paint, urls: readonly string[]): string =>
  urls.length === 0 ? "" : paint.dim(`metrics ${urls.join(" ")}\n`);
