/** Lines of user code, as they leave a real process. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, onTestFinished, test } from "vitest";

const MODULE = pathToFileURL(join(import.meta.dirname, "tagged-output.ts")).href;
const program = (ownLog: string, code: string) => [
  "--input-type=module",
  "--eval",
  `const { tagOutput } = await import(${JSON.stringify(MODULE)}); tagOutput("iris:v1#7", ${JSON.stringify(ownLog)}); ${code}`,
];

const CODE = `
  console.log("one\\ntwo");
  console.error("oops");
  process.stdout.write("half ");
  process.stdout.write("a line\\n\\n");
  process.stdout.write(Buffer.from("ü").subarray(0, 1));
  process.stdout.write(Buffer.from("ü\\n").subarray(1), () => console.log("written"));
`;

test("each line begins with the name, whole or in pieces, text or bytes", () => {
  const output = execFileSync(process.execPath, program("/nowhere/log", CODE), {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  expect(output).toBe(
    "[iris:v1#7] one\n[iris:v1#7] two\n[iris:v1#7] half a line\n[iris:v1#7] \n[iris:v1#7] ü\n[iris:v1#7] written\n",
  );
});

test("where the output is shared, the log file gets the same lines without the name", () => {
  const folder = mkdtempSync(join(tmpdir(), "maitred-tagged-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "log");
  execFileSync(process.execPath, program(path, CODE), { stdio: ["ignore", "pipe", "pipe"] });
  expect(readFileSync(path, "utf8")).toBe("one\ntwo\noops\nhalf a line\n\nü\nwritten\n");
});

test("in its own log file nothing is added", () => {
  const folder = mkdtempSync(join(tmpdir(), "maitred-tagged-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "log");
  const fd = openSync(path, "a");
  execFileSync(process.execPath, program(path, CODE), { stdio: ["ignore", fd, fd] });
  closeSync(fd);
  expect(readFileSync(path, "utf8")).toMatch(/^one\ntwo\noops\nhalf a line\n/);
});

test("a process whose reader has gone lives on", async () => {
  const child = spawn(
    process.execPath,
    program("/nowhere/log", `setInterval(() => console.log("x"), 1); setTimeout(() => process.exit(7), 200);`),
    { stdio: ["ignore", "pipe", "ignore"] },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  child.stdout.destroy();
  expect(await once(child, "exit")).toEqual([7, null]);
});
