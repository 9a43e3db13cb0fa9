/** How orders for probes are taken: how many run, which are shared, and what becomes of those that are too many. */
import { expect, test } from "vitest";
import { MAX_PROBES, MAX_QUEUED_PROBES } from "../model/code-limits.ts";
import type { ProbeAnswer, ProbeOrder } from "../model/probe.ts";
import { ProbeDesk } from "./probe-desk.ts";

const order = (module: string): ProbeOrder => ({
  module,
  targets: [],
  runtime: { nodeArgs: [], env: {}, envFile: undefined, cwd: undefined },
  timeoutMs: 1_000,
  keep: "code",
});

const openDesk = () => {
  const started: { readonly module: string; readonly end: (answer: ProbeAnswer | Error) => void }[] = [];
  const found: string[] = [];
  const probe = {
    probe: ({ module }: ProbeOrder) =>
      new Promise<ProbeAnswer>((resolve, reject) => {
        started.push({ module, end: (answer) => (answer instanceof Error ? reject(answer) : resolve(answer)) });
      }),
  };
  return { desk: new ProbeDesk(probe, ({ files }) => found.push(files)), started, found };
};

const loaded = (files: string): ProbeAnswer => ({ kind: "loaded", code: { files, entry: "" }, targets: [] });
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

test("a few run at a time, and the others come in the order in which they were given", async () => {
  const { desk, started } = openDesk();
  const modules = ["a", "b", "c", "d"];
  const answers = modules.map((module) => desk.probe(order(module)));
  expect(started.map(({ module }) => module)).toEqual(modules.slice(0, MAX_PROBES));
  for (let index = 0; index < modules.length; index++) {
    started[index]?.end(loaded(`files of ${modules[index]}`));
    await nextTurn();
  }
  expect(started.map(({ module }) => module)).toEqual(modules);
  expect(await Promise.all(answers)).toEqual(modules.map((module) => loaded(`files of ${module}`)));
});

test("equal orders share a probe that has not begun, and never one that runs", async () => {
  const { desk, started, found } = openDesk();
  const first = desk.probe(order("a"));
  // The file may have been mended since the first one read it.
  const others = [desk.probe(order("a")), desk.probe(order("a")), desk.probe(order("a"))];
  expect(started).toHaveLength(1);
  started[0]?.end(loaded("old"));
  expect(await first).toEqual(loaded("old"));
  await nextTurn();
  expect(started).toHaveLength(2);
  started[1]?.end(loaded("new"));
  expect(await Promise.all(others)).toEqual([loaded("new"), loaded("new"), loaded("new")]);
  expect(started).toHaveLength(2);
  expect(found).toEqual(["old", "new"]);
});

test("a probe that fails unexpectedly frees its place", async () => {
  const { desk, started } = openDesk();
  const answers = ["a", "b", "c"].map((module) => desk.probe(order(module)));
  started[0]?.end(new Error("no memory"));
  await expect(answers[0]).rejects.toThrow("no memory");
  await nextTurn();
  expect(started.map(({ module }) => module)).toEqual(["a", "b", "c"]);
});

test("orders beyond the bound are refused, and may be sent again", async () => {
  const { desk } = openDesk();
  for (let index = 0; index < MAX_PROBES + MAX_QUEUED_PROBES; index++) void desk.probe(order(`m${index}`));
  await expect(desk.probe(order("one more"))).rejects.toMatchObject({ code: "probe-unavailable", retryable: true });
});
