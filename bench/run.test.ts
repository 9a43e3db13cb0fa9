import { type ChildProcessByStdio, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { MARK_VARIABLE, markedPids } from "../tests/harness/processes.ts";
import { waitFor } from "../tests/harness/wait-for.ts";

const START_DEADLINE_MS = 60_000;

type Bench = ChildProcessByStdio<null, Readable, Readable>;

const bench = (args: readonly string[], env = process.env): Bench =>
  spawn(process.execPath, [join(import.meta.dirname, "run.ts"), ...args], { stdio: ["ignore", "pipe", "pipe"], env });

const outcome = async (child: Bench) => {
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (part: Buffer) => (stdout += part));
  child.stderr.on("data", (part: Buffer) => (stderr += part));
  const [status] = await once(child, "close");
  return { status, stdout, stderr };
};

describe("npm run bench", () => {
  it("says what it can do, and names the rows that a selection means, without measuring", async () => {
    expect(await outcome(bench(["--help"]))).toMatchObject({ status: 0, stdout: expect.stringContaining("--quick") });
    const { status, stdout } = await outcome(bench(["--list", "request bodies"]));
    expect({ status, stdout }).toEqual({ status: 0, stdout: "data: 10 MB request bodies\n" });
  });

  it("refuses options and selections that mean nothing", async () => {
    expect(await outcome(bench(["--quik"]))).toMatchObject({ status: 2, stderr: expect.stringContaining("--quik") });
    expect(await outcome(bench(["no such row"]))).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("--list"),
    });
  });

  it.each([
    { how: "is interrupted", end: (child: Bench) => void child.kill("SIGINT"), status: 130 },
    { how: "finds nobody who reads what it says", end: ({ stderr }: Bench) => void stderr.destroy(), status: 1 },
  ])(
    "leaves nothing running when it $how",
    async ({ end, status }) => {
      const mark = randomBytes(6).toString("hex");
      const child = bench(["--json", "10 MB response"], { ...process.env, [MARK_VARIABLE]: mark });
      const exited = once(child, "exit");
      let said = "";
      child.stderr.on("data", (part: Buffer) => {
        said += part;
      });
      child.stderr.on("error", () => {}); // it is destroyed on purpose
      await waitFor("it measures", () => said.includes("warming up: maitred"), START_DEADLINE_MS);
      // The instance, and node:http beside it.
      expect(markedPids(mark).length).toBeGreaterThan(4);
      end(child);
      expect(await exited).toEqual([status, null]);
      expect(markedPids(mark)).toEqual([]);
    },
    2 * START_DEADLINE_MS,
  );
});
