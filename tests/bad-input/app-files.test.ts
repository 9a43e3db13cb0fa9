/**
 * App files that cannot be served, given to `maitred run`: each ends with exit status 1 and one sentence with a code that names the
 * file and the cure, and leaves no process, socket or file behind.
 */
import { afterEach, describe, expect, test } from "vitest";
import { type CommandOptions, type CommandResult, expectRefusal, maitred } from "../harness/command.ts";
import { fixture } from "../harness/echo.ts";
import { useLab } from "../harness/lab.ts";
import { waitFor } from "../harness/wait-for.ts";

const lab = useLab("file");
const GONE_DEADLINE_MS = 5_000;
/** What `run` tells meanwhile of a start that failed; how many it sees in time is chance. */
const STARTS_AGAIN = /^\S+#\d+ did not start \(attempt \d of 3\); it is tried again: /;

afterEach(async () => {
  await waitFor(
    "nothing is left behind",
    () => {
      const left = lab().leftovers();
      if (left.length > 0) throw new Error(left.join("\n"));
      return true;
    },
    GONE_DEADLINE_MS,
  );
});

const runRefused = (name: string, options?: CommandOptions): Promise<CommandResult> =>
  maitred(["run", fixture(`refused/${name}`).pathname, "--instance", lab().name("refused"), "--port", "0"], options);

describe("files that cannot be loaded", () => {
  const CASES: readonly (readonly [string, string, RegExp])[] = [
    ["does-not-exist.ts", "module-not-found", /does-not-exist\.ts/],
    ["broken-syntax.ts", "module-syntax", /broken-syntax\.ts/],
    ["enum.ts", "module-unsupported-syntax", /enum\.ts.*`enum`.*as const.*tsx/],
    ["parameter-property.ts", "module-unsupported-syntax", /parameter property.*tsx/],
    ["decorator.ts", "module-unsupported-syntax", /decorator.ts:5.*decorators.*tsx/],
    ["parameter-decorator.ts", "module-unsupported-syntax", /parameter-decorator.ts:4.*decorators.*tsx/],
    ["page.tsx", "module-unsupported-syntax", /page\.tsx.*\.tsx.*tsx/],
    ["path-alias.ts", "module-unsupported-syntax", /path-alias\.ts.*@\/library.*imports/],
    ["extension-less.ts", "module-unsupported-syntax", /extension-less\.ts.*helper\.ts/],
    ["untyped-type-import.ts", "module-unsupported-syntax", /untyped-type-import\.ts.*import type/],
    [
      "imports-missing-package.ts",
      "module-not-found",
      /imports-missing-package\.ts.*no-such-package-anywhere.*npm install/,
    ],
    ["throws-at-import.ts", "module-load-failed", /throws-at-import\.ts.*no licence found/],
    ["no-default.ts", "app-invalid", /no-default.*default export/],
    ["default-number.ts", "app-invalid", /default-number.*number/],
  ];

  test.each(CASES)("%s is refused: %s", async (name, code, says) => {
    const sentence = expectRefusal(await runRefused(name), { status: 1, code });
    expect(sentence).toMatch(says);
  });
});

describe("files whose replicas do not start", () => {
  const CASES: readonly (readonly [string, RegExp])[] = [
    ["constructor-throws.ts", /the constructor wants a bigger machine \(\/.*constructor-throws\.ts:\d+:\d+\)/],
    ["start-throws.ts", /the weights are not on this disk/],
    ["constructor-never-ends.ts", /500 ms|startTimeoutMs/],
    ["start-never-ends.ts", /500 ms|startTimeoutMs/],
  ];

  test.each(CASES)("%s fails its goal with the user's own error", async (name, says) => {
    const result = await runRefused(name);
    const sentence = expectRefusal(result, { status: 1, code: "goal-failed" }, STARTS_AGAIN);
    expect(result.stdout).toBe("");
    expect(sentence).toMatch(says);
  });
});
