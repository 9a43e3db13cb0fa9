/** Logs as they come out of a real process: into files, pipes that end, pipes that are full. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { ServeError } from "../base/serve-error.ts";
import { MAX_LOG_ITEMS, MAX_LOG_TEXT_LENGTH } from "../model/limits.ts";
import type { Log } from "../ports/log.ts";
import { createPinoLog } from "./pino-log.ts";

type Env = Readonly<Record<string, string>>;

/** What the log writes into a file. */
const written = (env: Env, write: (log: Log) => void): string => {
  const folder = mkdtempSync(join(tmpdir(), "maitred-log-"));
  const path = join(folder, "log");
  const fd = openSync(path, "a");
  try {
    write(createPinoLog({ env, fd, fields: { process: "agent" } }));
    return readFileSync(path, "utf8");
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
};

const lines = (text: string): readonly Record<string, unknown>[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test("a line in a file is JSON: level, time, event and the fields of the log and the call", () => {
  const [line, child] = lines(
    written({}, (log) => {
      log.warn("replica-exited", { replica: "iris:v1#2", code: 1 });
      log.child({ backend: "iris:v1" }).error("start-failed", { attempts: 3 });
    }),
  );
  expect(line).toMatchObject({
    level: "warn",
    event: "replica-exited",
    process: "agent",
    replica: "iris:v1#2",
    code: 1,
  });
  expect(Math.abs(Date.parse(String(line?.["time"])) - Date.now())).toBeLessThan(60_000);
  expect(child).toMatchObject({
    level: "error",
    event: "start-failed",
    process: "agent",
    backend: "iris:v1",
    attempts: 3,
  });
});

test("fields cannot take the names of the line itself", () => {
  const [line] = lines(written({}, (log) => log.info("x", { level: 9, time: "noon", event: "party" })));
  expect(line).toMatchObject({ level: "info", event: "x", level_: 9, time_: "noon", event_: "party" });
});

test("the level is info unless MAITRED_LOG_LEVEL names another, and an unknown one is said", () => {
  const all = (log: Log) => {
    for (const level of ["debug", "info", "warn", "error"] as const) log[level](level);
  };
  const events = (level: string) => lines(written({ MAITRED_LOG_LEVEL: level }, all)).map((line) => line["event"]);
  expect(lines(written({}, all)).map((line) => line["event"])).toEqual(["info", "warn", "error"]);
  expect(events("debug")).toEqual(["debug", "info", "warn", "error"]);
  expect(events("error")).toEqual(["error"]);
  expect(events("loud")).toEqual(["log-level-unknown", "info", "warn", "error"]);
});

test("secrets never reach the log, whatever they hide in", () => {
  const text = written({}, (log) => {
    log.child({ accessToken: "hush-1" }).info("x", {
      token: "hush-2",
      headers: { Authorization: "Bearer hush-3", cookie: ["hush-4"], accept: "text/html" },
      env: { HOME: "hush-5", LEVEL: 5 },
      list: [{ deep: { password: "hush-6", "x-api-key": "hush-7" } }],
      note: "curl -H 'authorization: Bearer hush-8' http://localhost",
      config: { clientSecret: { value: "hush-9" } },
      tokens: 512,
    });
  });
  expect(text).not.toContain("hush");
  expect(lines(text)[0]).toMatchObject({ tokens: 512, headers: { accept: "text/html" }, env: { HOME: "[redacted]" } });
});

test("a field is cut to its bounds: long texts, long lists, deep and endless objects", () => {
  const endless: Record<string, unknown> = {};
  endless["self"] = endless;
  const text = written({}, (log) =>
    log.info("x", {
      text: "a".repeat(1_000_000),
      list: Array.from({ length: 10_000 }, (_, index) => index),
      object: Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`k${index}`, index])),
      endless,
      bytes: new Uint8Array(1_000_000),
      big: 2n ** 70n,
      symbol: Symbol("s"),
    }),
  );
  expect(text.length).toBeLessThan(2 * MAX_LOG_TEXT_LENGTH);
  expect(lines(text)[0]?.["list"]).toHaveLength(MAX_LOG_ITEMS + 1);
});

test("an error of ours is its code and sentence; any other keeps its stack; causes are followed", () => {
  const [line] = lines(
    written({}, (log) =>
      log.error("x", {
        error: new ServeError("internal", "It broke.", { cause: new TypeError("inner") }),
      }),
    ),
  );
  expect(line?.["error"]).toEqual({
    code: "internal",
    message: "It broke.",
    cause: { name: "TypeError", message: "inner", stack: expect.stringContaining("pino-log.test.ts") },
  });
});

test("what throws when it is asked for anything is logged as far as it lets itself be", () => {
  const no = () => {
    throw new Error("no");
  };
  const unwilling = Object.defineProperty(Object.assign(new Error("kept"), { name: 7 }), "stack", { get: no });
  const proxy = new Proxy({}, { get: no, has: no, ownKeys: no, getPrototypeOf: no });
  const [line] = lines(written({}, (log) => log.error("x", { unwilling, proxy, after: 1 })));
  expect(line).toMatchObject({ unwilling: { message: "kept", stack: "" }, proxy: "[cannot be printed]", after: 1 });
});

test("the form for people is one short line without stacks, and fields cannot steer the terminal", () => {
  const text = written({ MAITRED_LOG: "pretty", NO_COLOR: "1" }, (log) =>
    log.info("replica-ready", {
      replica: "iris:v1#2",
      took: 12,
      say: "two words",
      evil: "\u001b[2J\u009b31m",
      error: new TypeError("inner"),
      ours: new ServeError("no-replica", "None."),
    }),
  );
  expect(text).toMatch(/^\d\d:\d\d:\d\d\.\d{3} info {2}replica-ready process=agent replica=iris:v1#2 took=12 /);
  expect(text).toMatch(
    /say="two words" evil=\\x1b\[2J\\x9b31m error="TypeError: inner \(\/.*pino-log\.test\.ts:\d+:\d+\)" ours="no-replica: None\."\n$/,
  );
  expect(text.split("\n")).toHaveLength(2);
});

/** What a log with a file of its own writes into that file, and into an output that is another one. */
const shared = (env: Env, write: (log: Log) => void): { readonly own: string; readonly output: string } => {
  const folder = mkdtempSync(join(tmpdir(), "maitred-log-"));
  const [own, output] = [join(folder, "own.log"), join(folder, "output")];
  const fd = openSync(output, "a");
  try {
    write(createPinoLog({ env: { NO_COLOR: "1", ...env }, fd, file: own, fields: { process: "iris:v1#2" } }));
    return { own: readFileSync(own, "utf8"), output: readFileSync(output, "utf8") };
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
};

describe("a log with a file of its own whose output belongs to somebody else", () => {
  const boom = new TypeError("no such flower");
  boom.stack = "TypeError: no such flower\n    at call (file:///srv/iris.ts:3:9)";
  const write = (log: Log) => {
    log.info("replica-ready");
    log.error("handler-failed", { requestId: "r-1", error: boom });
    log.error("replica-start-failed", { error: boom, toldBy: "goal" });
  };
  const eventsOf = (text: string) => lines(text).map((line) => line["event"]);

  test("keeps everything in the file, as JSON, and shows what a person should look at, short and without a stack", () => {
    const { own, output } = shared({}, write);
    expect(eventsOf(own)).toEqual(["replica-ready", "handler-failed", "replica-start-failed"]);
    expect(own).toContain("\\n    at call (file:///srv/iris.ts:3:9)");
    expect(output).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} error handler-failed process=iris:v1#2 requestId=r-1 error="TypeError: no such flower \(\/srv\/iris\.ts:3:9\)"\n$/,
    );
  });

  test("leaves nothing out at level debug, not even stacks", () => {
    const { output } = shared({ MAITRED_LOG_LEVEL: "debug" }, write);
    expect(output).toMatch(/replica-ready[\s\S]*handler-failed[\s\S]*\n {4}at call [\s\S]*replica-start-failed/);
  });

  test("writes JSON to the output too when that is asked for", () => {
    expect(eventsOf(shared({ MAITRED_LOG: "json" }, write).output)).toEqual(["handler-failed"]);
  });

  test("goes on without the file when it cannot be had", () => {
    expect(written({}, () => createPinoLog({ file: "/nowhere/own.log", fd: 2 }))).toBe("");
  });
});

test("colours come when they are asked for", () => {
  const write = (log: Log) => log.info("x");
  expect(written({ MAITRED_LOG: "pretty", FORCE_COLOR: "1" }, write)).toContain("\u001b[");
  expect(written({ MAITRED_LOG: "pretty" }, write)).not.toContain("\u001b[");
  expect(written({ MAITRED_LOG: "pretty", FORCE_COLOR: "1", NO_COLOR: "1" }, write)).not.toContain("\u001b[");
});

/** A process that logs `count` lines of about 1 KB when it is told to, then says on stderr that it lives. */
const startLogger = (count: number): ChildProcess => {
  const program = `
    import { createPinoLog } from ${JSON.stringify(new URL("./pino-log.ts", import.meta.url).href)};
    const log = createPinoLog({ fd: 1 });
    process.stdin.once("data", () => {
      for (let n = 0; n < ${count}; n += 1) log.info("line", { n, filler: "x".repeat(1000) });
      process.stderr.write("alive");
      process.stdin.once("data", () => {
        log.info("after");
        process.exit(0);
      });
    });
    process.stderr.write("ready");
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["pipe", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
};

const heard = (child: ChildProcess, word: string): Promise<void> =>
  new Promise((resolve, reject) => {
    let text = "";
    child.stderr?.on("data", (chunk) => {
      text += String(chunk);
      if (text.endsWith(word)) resolve();
    });
    child.once("exit", (code, signal) => reject(new Error(`it ended: ${code ?? signal}: ${text}`)));
  });

const exited = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => {
    child.once("close", (code) => resolve(code));
  });

test("a reader that has gone does not end the process that logs", async () => {
  const child = startLogger(50);
  await heard(child, "ready");
  child.stdout?.destroy();
  child.stdin?.write("go");
  await heard(child, "alive");
  const ended = exited(child);
  child.stdin?.write("end");
  expect(await ended).toBe(0);
});

test("every line that a reader takes is whole, and dropped lines are counted", async () => {
  const child = startLogger(2_000);
  await heard(child, "ready");
  let output = "";
  child.stdout?.on("data", (chunk) => {
    output += String(chunk);
  });
  child.stdin?.write("go");
  await heard(child, "alive");
  const ended = exited(child);
  child.stdin?.write("end");
  expect(await ended).toBe(0);
  const seen = lines(output);
  const dropped = seen.reduce(
    (sum, line) => sum + (line["event"] === "log-lines-dropped" ? Number(line["count"]) : 0),
    0,
  );
  expect(seen.filter((line) => line["event"] === "line").length + dropped).toBe(2_000);
  expect(seen.at(-1)).toMatchObject({ event: "after" });
});
