/** The light log says what the other one says. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ServeError } from "../base/serve-error.ts";
import type { Log } from "../ports/log.ts";
import { createLightLog } from "./light-log.ts";
import type { LogOptions } from "./log-destination.ts";
import { createPinoLog } from "./pino-log.ts";

const linesOf = (create: (options: LogOptions) => Log, level: string): readonly Record<string, unknown>[] => {
  const folder = mkdtempSync(join(tmpdir(), "maitred-light-log-"));
  const path = join(folder, "log");
  const fd = openSync(path, "a");
  try {
    const log = create({ env: { MAITRED_LOG_LEVEL: level }, fd, fields: { process: "iris:v1#1", token: "secret" } });
    for (const word of ["debug", "info", "warn", "error"] as const) log[word](`at-${word}`, { count: 1, level: 9 });
    log.child({ backend: "iris:v1" }).error("failed", { error: new ServeError("internal", "no") });
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    return lines.map((line) => ({ ...(JSON.parse(line) as Record<string, unknown>), time: "" }));
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
};

test.each(["debug", "info", "error", "loud"])("with level %s both logs write the same lines", (level) => {
  const lines = linesOf(createLightLog, level);
  expect(lines.length).toBeGreaterThan(1);
  expect(lines).toEqual(linesOf(createPinoLog, level));
});
