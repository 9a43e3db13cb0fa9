/**
 * The process of a probe: loads code, says what it is by lines of JSON on file descriptor 3, and is killed. User code may do what it
 * likes at import; it cannot hurt whoever asked. When whoever asked goes, so does this process: descriptor 4 ends. One argument: its
 * ProbeWork in JSON.
 */
import { writeSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { type FolderLoader, folderLoader } from "../adapters/code/code-loader.ts";
import { isServeError, messageOf, ServeError, textOf, toErrorBody } from "../base/serve-error.ts";
import { placeInStack } from "../core/error-place.ts";
import { pathOfUrl } from "../core/module-problem.ts";
import { MAX_PROBE_OUTPUT_BYTES, MAX_WATCHED_FILES } from "../model/code-limits.ts";
import { type CodeRef, codeRefOf } from "../model/code-ref.ts";
import type { ErrorBody } from "../model/error-codes.ts";
import {
  type AppCodeAnswer,
  type AppPlanAnswer,
  type FilesRead,
  PROBE_ANSWER_FD,
  PROBE_BEGUN,
  PROBE_HELD_FD,
  type ProbeAnswer,
  type ProbedTarget,
  type ProbeWork,
} from "../model/probe.ts";

const probeCode = async ({ module, targets, keepIn }: ProbeWork & { readonly kind: "code" }): Promise<ProbeAnswer> => {
  const loader = folderLoader();
  try {
    const [look] = await Promise.all([lookAt(), loader.load(module)]);
    const found: ProbedTarget[] = [];
    for (const code of targets) found.push(await look(loader, code));
    return { kind: "loaded", code: await identify(loader, keepIn), targets: found, ...filesRead(loader, keepIn) };
  } catch (error) {
    return { kind: "failed", error: bodyOf(error), ...filesRead(loader, keepIn) };
  }
};

/** First what the app asks for: whoever runs it starts its instance while the rest is found. */
const probeApp = async (path: string): Promise<AppCodeAnswer> => {
  const url = pathToFileURL(resolve(path)).href;
  const loader = folderLoader();
  try {
    const [{ planApp }, module] = await Promise.all([import("../client/client.ts"), loader.load(url)]);
    const plan = planApp({ url, defaultExport: module["default"] });
    say({ plan } satisfies AppPlanAnswer<typeof plan>);
    const look = await lookAt();
    const targets: Record<string, ProbedTarget> = {};
    for (const { tag, code } of plan.backends) {
      if (code.module === url) targets[tag] = await look(loader, codeRefOf(code));
    }
    return { code: await identify(loader, undefined), targets, ...filesRead(loader, undefined) };
  } catch (error) {
    return { error: bodyOf(error), ...filesRead(loader, undefined) };
  }
};

const lookAt = async () => {
  const { findTarget, inspectTarget } = await import("../target/target.ts");
  return async (loader: FolderLoader, code: CodeRef): Promise<ProbedTarget> => {
    try {
      const found = await findTarget(loader, code);
      const mentions = (word: string) =>
        [...(loader.recorded()?.code.files.values() ?? [])].some((bytes) => bytes.includes(word));
      return { kind: "possible", offers: inspectTarget(found, mentions) };
    } catch (error) {
      return { kind: "impossible", error: bodyOf(error) };
    }
  };
};

const identify = async (loader: FolderLoader, keepIn: string | undefined) => {
  const recorded = loader.recorded()!;
  if (keepIn !== undefined) return (await import("../adapters/code/keep-code.ts")).keepCode(keepIn, recorded);
  const { hashesOf, loadedCodeOf } = await import("../adapters/code/code-hashes.ts");
  return loadedCodeOf(recorded.entry, hashesOf(recorded.code.files, recorded.entry));
};

const filesRead = (loader: FolderLoader, keepIn: string | undefined): FilesRead =>
  keepIn === undefined ? { read: loader.read().slice(0, MAX_WATCHED_FILES) } : {};

/** A failure of ours has no code yet. */
const bodyOf = (error: unknown): ErrorBody => {
  const known = isServeError(error) ? error : new ServeError("internal", toErrorBody(error).message, { cause: error });
  const { code, message, details } = toErrorBody(known);
  return { code, message, details };
};

/** A thread of its own: user code may never let go of this one. What user code has started goes with it. */
const WATCH = `
  const { Socket } = require("node:net");
  const held = new Socket({ fd: ${PROBE_HELD_FD}, readable: true, writable: false });
  const end = () => {
    try {
      process.kill(-process.pid, "SIGKILL");
    } catch {
      process.kill(process.pid, "SIGKILL");
    }
  };
  held.on("end", end).on("error", end).resume();
`;

const boundOutput = (): void => {
  let left = MAX_PROBE_OUTPUT_BYTES;
  for (const stream of [process.stdout, process.stderr]) {
    const write = stream.write.bind(stream) as (...args: readonly unknown[]) => boolean;
    stream.write = ((part: string | Uint8Array, ...rest: readonly unknown[]) => {
      left -= part.length;
      return left < 0 || write(part, ...rest);
    }) as typeof stream.write;
  }
};

const say = (value: object): void => sayLine(JSON.stringify(value));

const sayLine = (line: string): void => {
  try {
    writeSync(PROBE_ANSWER_FD, `${line}\n`);
  } catch {
    process.exit(1); // nobody waits any more (EPIPE)
  }
};

const sayLast = (value: ProbeAnswer | AppCodeAnswer): void => {
  // What was compiled here the replicas need not compile again.
  flushCompileCache();
  say(value);
  // Whoever asked kills it, with all that user code has started.
  setInterval(() => {}, 60_000);
};

sayLine(PROBE_BEGUN);
const work = JSON.parse(process.argv[2] ?? "") as ProbeWork;
boundOutput();
// Loaders among the arguments of this process are for user code.
new Worker(WATCH, { eval: true, execArgv: [], env: {} }).unref();
const file = work.kind === "code" ? pathOfUrl(work.module) : resolve(work.path);
/** Instead of an answer. */
const sayFailed = (message: string): void => {
  const error = { code: "module-load-failed", message: `module ${file}: ${message}` } as const;
  sayLast(work.kind === "code" ? { kind: "failed", error } : { error });
};
process.on("uncaughtException", (thrown: unknown) => {
  const place = placeInStack(textOf(thrown, "stack"));
  const message = `while it was imported, something that it had begun threw: ${messageOf(thrown)}`;
  sayFailed(place === undefined ? message : `${message} (${place})`);
});
// Only without an answer does this process run out of things to do; whoever calls process.exit() does not come by here.
process.on("beforeExit", () => {
  sayFailed(
    "its import never ends: an `await` at its top level, or of a module that it imports, waits for what nothing will ever settle. Move it into a handler or into start(), or settle what it waits for.",
  );
});
void (work.kind === "code" ? probeCode(work) : probeApp(work.path)).then(sayLast);
