/** A short run of `npm run chaos`: everything that it does, for a fraction of a minute. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const MINUTES = 0.4;
/** Faults, healing, the last queries, and a machine that does something else too. */
const DEADLINE_MS = 150_000;

test(
  "kills, pauses, rolls and scales under load: nothing is lost, and nothing runs twice that may not",
  async () => {
    const args = [
      "chaos/run.ts",
      "--minutes",
      String(MINUTES),
      "--seed",
      "short",
      "--rate",
      "100",
      "--json",
      "--verbose",
    ];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: DEADLINE_MS }).catch(
      (error: { readonly stdout: string; readonly stderr: string }) => error,
    );
    const account = JSON.parse(stdout === "" ? "{}" : stdout) as Record<string, unknown>;
    expect(account, stderr).toMatchObject({ lost: 0, ranTwice: 0, unexplained: [], givenUp: [], problems: [] });
    expect(account["kills"], stderr).toBeGreaterThan(0);
    expect(account["answered"], stderr).toBeGreaterThan(1_000);
  },
  DEADLINE_MS,
);
