/** A program with a non-detached instance dies without a word: nothing of the instance outlives it for long. */
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
