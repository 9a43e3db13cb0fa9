import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { isServeError } from "../base/serve-error.ts";
import type { Random } from "../ports/random.ts";
import { createFaults } from "./faults.ts";

const always = (number: number): Random => ({ number: () => number, id: () => "" });

/** Runs a fault point in a process of its own: how it ended, and what it wrote. */
const crashed = (spec: string, number: number) => {
  const program = `
    import { createFaults } from ${JSON.stringify(new URL("./faults.ts", import.meta.url).href)};
    process.on("exit", () => process.stdout.write("exit handlers ran;"));
    createFaults(${JSON.stringify(spec)}, { number: () => ${number}, id: () => "" }).point("crash-after-save");
    process.stdout.write("went on;");
  `;
  const { signal, stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  return { signal, stdout };
};

test("a fault point kills the process on the spot, as often as it says", () => {
  expect(crashed("crash-after-save:0.5", 0.49)).toEqual({ signal: "SIGKILL", stdout: "" });
  expect(crashed("crash-after-save:0.5", 0.5)).toEqual({ signal: null, stdout: "went on;exit handlers ran;" });
});

test.each([undefined, "", " ", "crash-after-save:0"])("without faults (%j) nothing happens", (spec) => {
  createFaults(spec, always(0)).point("crash-after-save");
});

test.each([
  ["crash-before-lunch:1", '"crash-before-lunch" is not a fault point'],
  ["crash-after-save", "crash-after-save needs a probability from 0 to 1"],
  ["crash-after-save:", "crash-after-save needs a probability from 0 to 1"],
  ["crash-after-save:2", "crash-after-save needs a probability from 0 to 1"],
  ["crash-after-save:0.5,", undefined],
  ["crash-after-save:often", "crash-after-save needs a probability from 0 to 1"],
])("MAITRED_FAULT=%s is read or refused with a sentence", (spec, problem) => {
  let message: string | undefined;
  try {
    createFaults(spec, always(0.9));
  } catch (error) {
    if (!isServeError(error)) throw error;
    expect(error.code).toBe("config-invalid");
    message = error.message;
  }
  expect(message?.includes(problem ?? "never")).toBe(problem === undefined ? undefined : true);
});
