/** Composition root of the command line: gives the commands their terminal, instances, probes and logs. */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { chooseInstance, findStateDir } from "../adapters/find-instance.ts";
import { processesWithLogs, readLogs } from "../adapters/log-files.ts";
import { defaultStateDir } from "../adapters/places.ts";
import { fromErrorBody, ServeError } from "../base/serve-error.ts";
import { type LogOptions, runCli, type Terminal, type World } from "../cli/cli.ts";
import type { AppPlan } from "../client/client.ts";
import { PROBE_TIMEOUT_MS } from "../model/limits.ts";
import { stateFiles } from "../model/places.ts";
import { connectTo, launchAndConnect } from "./program.ts";
import { readVersion } from "./version.ts";

/** Resolves with the exit status. */
export const main = (argv: readonly string[]): Promise<number> => runCli(argv, createWorld());

const createWorld = (): World => {
  const { env } = process;
  return {
    terminal: createTerminal(),
    env,
    version: readVersion(),
    connect: async (choice) => connectTo(chooseInstance({ ...choice, env })),
    find: async (choice) => chooseInstance({ ...choice, env }).file,
    defaultStateDir: (instance) => defaultStateDir(instance, env),
    findStateDir: async (choice) => findStateDir({ ...choice, env }),
    launch: (options) => launchAndConnect({ ...options, env }),
    probe: probeApp,
    readText: (path) => readFile(path, "utf8").catch(() => undefined), // an optional file
    loggingProcesses: ({ stateDir, of }) => processesWithLogs({ folder: stateFiles(stateDir).logs, of }),
    logs: tailLogs,
    onSignal: (callback) => {
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => callback(signal));
    },
    exitNow: (status) => process.exit(status),
  };
};

const createTerminal = (): Terminal => {
  const { NO_COLOR, FORCE_COLOR } = process.env;
  // A reader that went away (`| head`) ends the output, not the command.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    interactive: process.stderr.isTTY === true,
    colour: NO_COLOR ? false : FORCE_COLOR ? true : process.stdout.isTTY === true,
  };
};

const tailLogs = async (
  { stateDir, of, follow, sinceMs }: LogOptions,
  onLine: (line: string) => void,
): Promise<void> => {
  const ended = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => ended.abort());
  process.stdout.once("error", () => ended.abort());
  await readLogs({ folder: stateFiles(stateDir).logs, of, sinceMs, follow, signal: ended.signal }, onLine);
};

/** The app file's plan, from main/probe.ts. What user code prints goes to stderr. */
const probeApp = (file: string): Promise<AppPlan> =>
  new Promise((resolve, reject) => {
    const entry = fileURLToPath(new URL(`./probe${extname(import.meta.url)}`, import.meta.url));
    const child = spawn(process.execPath, [entry, file], { stdio: ["ignore", 2, 2, "pipe"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), PROBE_TIMEOUT_MS);
    let answer = "";
    child.stdio[3]?.on("data", (part: Buffer) => {
      answer += part.toString();
    });
    child.once("error", reject);
    child.once("close", (status, signal) => {
      clearTimeout(timer);
      if (answer !== "") {
        const { plan, error } = JSON.parse(answer) as { plan?: AppPlan; error?: { code: string; message: string } };
        if (plan !== undefined) resolve(plan);
        else reject(fromErrorBody(error ?? { code: "internal", message: "the probe said nothing." }));
        return;
      }
      const how =
        signal === "SIGKILL"
          ? `did not finish within ${PROBE_TIMEOUT_MS / 1_000} s`
          : `ended the process (${signal ?? `exit ${status}`})`;
      reject(
        new ServeError(
          "module-load-failed",
          `module ${file}: its import ${how}. Import must end; start work in a handler or in start().`,
        ),
      );
    });
  });
