import { expect, test } from "vitest";
import { checkFloors } from "./floors.ts";

const check = (sources: Readonly<Record<string, string>>) => checkFloors(new Map(Object.entries(sources)));
const checkOne = (file: string, source: string) => check({ [file]: source });

test("imports that go down, to a front door, or within one folder are fine", () => {
  const problems = check({
    "src/core/decide.ts": `import { err } from "../base/result.ts"; import type { Store } from "../model/store.ts"; import "./plan.ts";`,
    "src/router/router.ts": `import { longPollClient } from "../longpoll/longpoll.ts";`,
    "src/controller/controller.ts": `import type { Store } from "../ports/store.ts"; import { createHash } from "node:crypto";`,
    "src/main/agent.ts": `import { agent } from "../agent/agent.ts"; import { open } from "../adapters/sqlite-store.ts"; import { z } from "zod";`,
    "src/index.ts": `export { batch } from "./api/batch.ts"; const start = () => import("./client/client.ts");`,
    "src/client/client.ts": `import { z } from "zod";`,
  });
  expect(problems).toEqual([]);
});

test.each([
  ["value", `import { x } from "../core/x.ts";`],
  ["type-only", `import type { X } from "../core/x.ts";`],
  ["re-exported", `export { x } from "../core/x.ts";`],
  ["star re-exported", `export * from "../core/x.ts";`],
  ["dynamic", `const later = () => import("../core/x.ts");`],
  ["type query", `export type X = import("../core/x.ts").X;`],
])("an import upwards is refused (%s)", (_, source) => {
  expect(checkOne("src/model/a.ts", `\n${source}`)).toEqual([
    "src/model/a.ts:2 imports ../core/x.ts: model is floor 1, core is floor 2, and imports only go down; move what both need down, or take a port and let main/ pass it in.",
  ]);
});

test("what only looks like an import, in a comment or a string, is not one", () => {
  expect(
    checkOne("src/model/a.ts", `// import "../core/x.ts"\nexport const text = 'import "node:fs"; await x';`),
  ).toEqual([]);
});

test("folders of one floor do not know each other", () => {
  expect(checkOne("src/agent/a.ts", `import "../controller/controller.ts";`)[0]).toContain(
    "agent and controller stand on one floor and do not know each other",
  );
  expect(checkOne("src/longpoll/a.ts", `import "../router/router.ts";`)).toHaveLength(1);
});

test("a folder of floors 3 to 5 is entered by its front door only", () => {
  expect(checkOne("src/main/controller.ts", `import "../controller/loop.ts";`)).toEqual([
    "src/main/controller.ts:1 imports ../controller/loop.ts: controller opens only by controller/controller.ts; export what you need there.",
  ]);
});

test("the floors that decide have no Node, no async and no clock", () => {
  const problems = checkOne(
    "src/core/x.ts",
    `import { readFileSync } from "node:fs";
     export const f = async () => { await g(); };
     export const now = () => Date.now();`,
  );
  expect(problems).toEqual([
    "src/core/x.ts:1 imports node:fs: core decides and has no disk, network, clock or process; take a port in ports/ instead and let the role above use it.",
    expect.stringContaining("src/core/x.ts:2 uses async: core decides and never waits"),
    expect.stringContaining("src/core/x.ts:2 uses await"),
    expect.stringContaining("src/core/x.ts:3 calls Date.now()"),
  ]);
});

test("a port may promise, as long as it does not wait", () => {
  expect(checkOne("src/ports/store.ts", `export interface Store { get(key: string): Promise<string> }`)).toEqual([]);
});

test("a role may be async, but reaches network, clock and chance only through ports", () => {
  const source = `import { connect } from "node:net";
    export async function run(clock: { now(): number; setTimeout(): void }) {
      clock.setTimeout(); clock.now(); await 0;
      setTimeout(run, 1); globalThis.setTimeout(run, 1); Math.random(); new Date(); new Date(0);
    }`;
  expect(checkOne("src/replica/replica.ts", source).map((problem) => problem.split(":").slice(0, 2).join(":"))).toEqual(
    [
      "src/replica/replica.ts:1 imports node",
      "src/replica/replica.ts:4 calls setTimeout()",
      "src/replica/replica.ts:4 calls setTimeout()",
      "src/replica/replica.ts:4 calls Math.random()",
      "src/replica/replica.ts:4 calls new Date()",
    ],
  );
  expect(checkOne("src/adapters/net.ts", source)).toEqual([]);
});

test("validation and admin libraries stay at the edges", () => {
  expect(checkOne("src/router/a.ts", `import type { z } from "zod/v4";`)).toEqual([
    "src/router/a.ts:1 imports zod/v4: input is parsed once, at the edges (client, cli, rest, dashboard, adapters, main); router gets values that are already right.",
  ]);
  expect(checkOne("src/proxy/a.ts", `import "@fastify/swagger";`)).toHaveLength(1);
  expect(checkOne("src/rest/a.ts", `import "@fastify/swagger"; import "fastify";`)).toEqual([]);
});

test("a proxy, a replica and the user's door load no validation library when they start, however indirectly", () => {
  const problems = check({
    "src/main/replica.ts": `import "../adapters/wire.ts"; import type { T } from "../adapters/schema.ts";`,
    "src/adapters/wire.ts": `import { frame } from "./frames.ts";`,
    "src/adapters/frames.ts": `import * as z from "zod";`,
    "src/adapters/schema.ts": `import * as z from "zod";`,
  });
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(
    "src/main/replica.ts loads zod when it starts (src/main/replica.ts → src/adapters/wire.ts → src/adapters/frames.ts)",
  );
});

test("tests may look anywhere, but what ships must not need a test", () => {
  const problems = check({
    "src/core/x.test.ts": `import { test } from "vitest"; import "../adapters/sqlite-store.ts"; await test;`,
    "src/ports/store.contract.ts": `import { test } from "vitest";`,
    "src/core/x.ts": `import "../ports/store.contract.ts"; import "vitest";`,
  });
  expect(problems).toEqual([
    "src/core/x.ts:1 imports ../ports/store.contract.ts: it is a test; what ships must not need it.",
    "src/core/x.ts:1 imports vitest: only x.test.ts and x.contract.ts may use test tools.",
  ]);
});

test("a file outside the table, a file too long and an import of the package by its own name are refused", () => {
  expect(checkOne("src/utils/x.ts", "")[0]).toContain("src/utils/x.ts is on no floor");
  expect(checkOne("src/x.ts", "")[0]).toContain("src/x.ts is on no floor");
  expect(checkOne("src/base/x.test.ts", `${"\n".repeat(400)}1;`)).toEqual([
    "src/base/x.test.ts has 401 lines, more than 400: which noun is missing? Give it a file.",
  ]);
  expect(
    checkOne("src/cli/cli.ts", `import "maitred"; import "../index.ts"; import "../../scripts/x.ts";`),
  ).toHaveLength(3);
});

test("the user's door reaches up to floor 5, file by file, and no process root", () => {
  expect(checkOne("src/index.ts", `export * from "./client/errors.ts"; export * from "./model/ids.ts";`)).toEqual([]);
  expect(checkOne("src/index.ts", `import "./main/agent.ts";`)[0]).toContain("starts processes by path");
});
