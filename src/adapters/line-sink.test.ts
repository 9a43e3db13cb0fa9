/** The sink on descriptors that refuse: a pipe that nobody reads (a FIFO, non-blocking), a full device, a closed one. */
import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createLineSink } from "./line-sink.ts";

const openPipe = (): { readonly reader: number; readonly writer: number } => {
  const folder = mkdtempSync(join(tmpdir(), "maitred-sink-"));
  const path = join(folder, "pipe");
  execFileSync("mkfifo", [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  onTestFinished(() => {
    closeSync(reader);
    closeSync(writer);
    rmSync(folder, { recursive: true });
  });
  return { reader, writer };
};

const readAll = (fd: number): string => {
  const parts: Buffer[] = [];
  const chunk = Buffer.alloc(65_536);
  for (;;) {
    try {
      const bytes = readSync(fd, chunk);
      if (bytes === 0) break;
      parts.push(Buffer.from(chunk.subarray(0, bytes)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      break;
    }
  }
  return Buffer.concat(parts).toString();
};

test("a full pipe drops lines instead of stopping the process, counts them, and goes on when it is read", () => {
  const { reader, writer } = openPipe();
  const sink = createLineSink(writer, (count) => `dropped ${count}\n`);
  const line = (n: number) => `line ${String(n).padStart(4, "0")} ${"x".repeat(989)}\n`;
  for (let n = 0; n < 100; n += 1) sink.write(line(n));
  const first = readAll(reader);
  for (let n = 100; n < 110; n += 1) sink.write(line(n));
  const second = readAll(reader);

  const whole = (first + second).split("\n").filter((text) => text.length === line(0).length - 1);
  const dropped = Number(/dropped (\d+)/.exec(second)?.[1]);
  expect(dropped).toBeGreaterThan(0);
  expect(whole.length + dropped).toBe(110);
  expect(whole.slice(-10)).toEqual(Array.from({ length: 10 }, (_, index) => line(100 + index).trimEnd()));
  // What was torn off is a line of its own, not the beginning of the next.
  expect(second).toMatch(/^\n?dropped/);
});

test.each([
  { name: "a full disk", open: () => openSync("/dev/full", "w") },
  {
    name: "a descriptor that is closed",
    open: () => {
      const fd = openSync("/dev/null", "w");
      closeSync(fd);
      return fd;
    },
  },
])("$name loses lines and nothing else", ({ open }) => {
  const sink = createLineSink(open(), () => "dropped\n");
  for (let n = 0; n < 10; n += 1) sink.write("line\n");
});
