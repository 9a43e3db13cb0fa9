/** A program with a non-detached instance dies without a word: nothing of the instance outlives it for long. */
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { spawnMaitred, spawnNode } from "../harness/command.ts";
import { fixture } from "../harness/echo.ts";
import { START_DEADLINE_MS, useLab } from "../harness/lab.ts";
import { isGood, startLoad } from "../harness/load.ts";
import { isAlive } from "../harness/processes.ts";
import { healed, waitFor } from "../harness/wait-for.ts";

const lab = useLab("test");
const GONE_MS = 5_000;

const nothingLeft = (): true => {
  const left = lab().leftovers();
  if (left.length > 0) throw new Error(left.join("\n"));
  return true;
};

test("kill -9 of the program: no process, socket or file of its instance is left", async () => {
  const name = lab().name("owned");
  const program = spawnNode([fixture("programs/owner.ts").pathname, name, lab().folder("ledger")]);
  // The instance's own lines come from the same place: this one is the program's.
  const line = await waitFor(
    "the program says where it answers",
    () => /^\{"url".*\}$/m.exec(program.stdout())?.[0],
    START_DEADLINE_MS,
  ).catch((cause: unknown) => {
    throw new Error(program.stderr(), { cause });
  });
  const { url, pids } = JSON.parse(line) as { readonly url: string; readonly pids: readonly number[] };
  const load = startLoad({ url: `${url}/echo`, perSecond: 100 });
  await load.more(50);

  program.kill("SIGKILL");
  await healed(
    "nothing is left of a killed program's instance",
    { sinceInstant: performance.now(), promisedMs: GONE_MS },
    nothingLeft,
  );
  expect(pids.filter(isAlive)).toEqual([]);
  // Requests before the end were answered; afterwards the port is closed.
  const [first] = await load.stop();
  expect(first && isGood(first)).toBe(true);
}, 60_000);

test("kill -9 of an old Node that had handed `maitred run` over to a newer one: nothing is left either", async () => {
  const root = checkoutWithPinnedNode();
  const preload = join(root, "old-node.cjs");
  const run = ["run", fixture("apps/hello.ts").pathname, "--instance", lab().name("old"), "--port", "0"];
  const command = spawnNode(["--require", preload, join(root, "bin/maitred.js"), ...run]);
  await waitFor("it answers", () => command.stdout().includes("answers"), START_DEADLINE_MS).catch((cause: unknown) => {
    throw new Error(command.stderr(), { cause });
  });

  command.kill("SIGKILL");
  await healed(
    "nothing is left of a killed launcher's instance",
    { sinceInstant: performance.now(), promisedMs: GONE_MS },
    nothingLeft,
  );
}, 60_000);

/** The command as it lies in a checkout whose dev dependency `node` is another file than the Node of this test. */
const checkoutWithPinnedNode = (): string => {
  const root = lab().folder("checkout");
  const repository = join(import.meta.dirname, "../..");
  cpSync(join(repository, "bin"), join(root, "bin"), { recursive: true });
  symlinkSync(join(repository, "src"), join(root, "src"));
  mkdirSync(join(root, "node_modules/node/bin"), { recursive: true });
  const pinned = join(root, "node_modules/node/bin/node");
  writeFileSync(pinned, `#!/bin/sh\nexec "${process.execPath}" "$@"\n`, { mode: 0o755 });
  // Loaded by the first process alone: it calls itself Node 20, which cannot replace itself by another program.
  writeFileSync(
    join(root, "old-node.cjs"),
    `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.11.0" } });
     process.execve = undefined;
     process.execArgv = [];`,
  );
  return root;
};

test("kill -9 of `maitred run`: no process, socket or file of its instance is left", async () => {
  const name = lab().name("run");
  const command = spawnMaitred(["run", fixture("apps/hello.ts").pathname, "--instance", name, "--port", "0"]);
  await waitFor("it answers", () => command.stdout().includes("answers"), START_DEADLINE_MS).catch((cause: unknown) => {
    throw new Error(command.stderr(), { cause });
  });

  command.kill("SIGKILL");
  await healed(
    "nothing is left of a killed `maitred run`",
    { sinceInstant: performance.now(), promisedMs: GONE_MS },
    nothingLeft,
  );
}, 60_000);
