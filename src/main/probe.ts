/**
 * The process of a probe: loads code, says what it is by one JSON line on file descriptor 3, and is killed. User code may do what it
 * likes at import; it cannot hurt whoever asked. When whoever asked goes, so does this process: descriptor 4 ends. One argument: its
 * ProbeWork in JSON.
 */
import { writeSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { type FolderLoader, folderLoader } from "../adapters/code/code-loader.ts";
import { hashesOf, keepCode, loadedCodeOf } from "../adapters/code/kept-code.ts";
import { isServeError, messageOf, ServeError, toErrorBody } from "../base/serve-error.ts";
import type { AppPlan } from "../client/client.ts";
import { placeInStack } from "../core/error-place.ts";
import { pathOfUrl } from "../core/module-problem.ts";
import { MAX_PROBE_OUTPUT_BYTES } from "../model/code-limits.ts";
import { type CodeRef, codeRefOf, type LoadedCode } from "../model/code-ref.ts";
import type { ErrorBody } from "../model/error-codes.ts";
import { PROBE_ANSWER_FD, PROBE_HELD_FD, type ProbeAnswer, type ProbedTarget, type ProbeWork } from "../model/probe.ts";
import { findTarget, inspectTarget } from "../target/target.ts";

/** What an app file asks for, and what is known of the backends whose code it holds itself. */
export interface ProbedApp {
  readonly plan: AppPlan;
  readonly code: LoadedCode;
  readonly targets: Readonly<Record<string, ProbedTarget>>;
}

export type AppAnswer = { readonly app: ProbedApp } | { readonly error: ErrorBody };

const probeCode = async ({ module, targets, keepIn }: ProbeWork & { readonly kind: "code" }): Promise<ProbeAnswer> => {
  const loader = folderLoader();
  try {
    await loader.load(module);
    const found: ProbedTarget[] = [];
    for (const code of targets) found.push(await lookAt(loader, code));
    const { code, entry } = loader.recorded()!;
    const kept = keepIn === undefined ? loadedCodeOf(entry, hashesOf(code, entry)) : keepCode(keepIn, code, entry);
    return { kind: "loaded", code: kept, targets: found };
  } catch (error) {
    return { kind: "failed", error: bodyOf(error) };
  }
};

const probeApp = async (path: string): Promise<AppAnswer> => {
  const url = pathToFileURL(resolve(path)).href;
  const loader = folderLoader();
  try {
    const [{ planApp }, module] = await Promise.all([import("../client/client.ts"), loader.load(url)]);
    const plan = planApp({ url, defaultExport: module["default"] });
    const targets: Record<string, ProbedTarget> = {};
    for (const { tag, code } of plan.backends) {
      if (code.module === url) targets[tag] = await lookAt(loader, codeRefOf(code));
    }
    const { code, entry } = loader.recorded()!;
    return { app: { plan, code: loadedCodeOf(entry, hashesOf(code, entry)), targets } };
  } catch (error) {
    return { error: bodyOf(error) };
  }
};

const lookAt = async (loader: FolderLoader, code: CodeRef): Promise<ProbedTarget> => {
  try {
    const found = await findTarget(loader, code);
    const mentions = (word: string) =>
      [...(loader.recorded()?.code.files.values() ?? [])].some((bytes) => bytes.includes(word));
    return { kind: "possible", offers: inspectTarget(found, mentions) };
  } catch (error) {
    return { kind: "impossible", error: bodyOf(error) };
  }
};

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

const answer = (value: ProbeAnswer | AppAnswer): void => {
  // What was compiled here the replicas need not compile again.
  flushCompileCache();
  try {
    writeSync(PROBE_ANSWER_FD, `${JSON.stringify(value)}\n`);
  } catch {
    process.exit(1); // nobody waits any more (EPIPE)
  }
  // Whoever asked kills it, with all that user code has started.
  setInterval(() => {}, 60_000);
};

const work = JSON.parse(process.argv[2] ?? "") as ProbeWork;
boundOutput();
// Loaders among the arguments of this process are for user code.
new Worker(WATCH, { eval: true, execArgv: [], env: {} }).unref();
process.on("uncaughtException", (thrown) => {
  const file = work.kind === "code" ? pathOfUrl(work.module) : resolve(work.path);
  const place = placeInStack(thrown.stack);
  const message = `module ${file}: while it was imported, something that it had begun threw: ${messageOf(thrown)}`;
  const error = {
    code: "module-load-failed",
    message: place === undefined ? message : `${message} (${place})`,
  } as const;
  answer(work.kind === "code" ? { kind: "failed", error } : { error });
});
void (work.kind === "code" ? probeCode(work) : probeApp(work.path)).then(answer);
