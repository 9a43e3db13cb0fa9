/** Composition root of the command line: gives the commands their terminal, instances, probes and logs. */
import { readFile } from "node:fs/promises";
import { eraseRunning, eraseStopped, findErasable } from "../adapters/erase-stopped.ts";
import { chooseInstance, findStateDir } from "../adapters/find-instance.ts";
import { wantsColor } from "../adapters/log-destination.ts";
import { processesWithLogs, readLogs } from "../adapters/log-files.ts";
import { defaultStateDir } from "../adapters/places.ts";
import { untilChanged } from "../adapters/watch-files.ts";
import { ServeError } from "../base/serve-error.ts";
import { type LogOptions, reportError, runCli, type Terminal, type World } from "../cli/cli.ts";
import { SIGNAL_ECHO_MS } from "../model/limits.ts";
import { stateFiles } from "../model/places.ts";
import { probeAppFile } from "./app-probe.ts";
import { followLauncher } from "./launcher.ts";
import { connectTo, launchAndConnect } from "./program.ts";
import { readVersion } from "./version.ts";

/** Resolves with the exit status. */
export const main = (argv: readonly string[]): Promise<number> => {
  const world = createWorld();
  process.on("uncaughtException", (error) => {
    process.exit(reportError(world.terminal, error, argv.includes("--json") ? "json" : "text"));
  });
  return runCli(argv, world);
};

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

const createWorld = (): World => {
  const { env } = process;
  const launcher = followLauncher();
  const ownedWith = launcher === undefined ? [] : [launcher];
  return {
    terminal: createTerminal(),
    version: readVersion(),
    connect: async (choice) => connectTo(chooseInstance({ ...choice, env })),
    find: async (choice) => chooseInstance({ ...choice, env }).file,
    findErasable: async (choice) => findErasable({ ...choice, env }),
    eraseStopped: async (stopped) => eraseStopped(stopped, env),
    eraseRunning: async (running) => eraseRunning(running, env),
    defaultStateDir: (instance) => defaultStateDir(instance, env),
    findStateDir: async (choice) => findStateDir({ ...choice, env }),
    launch: (options, signal) => launchAndConnect({ ...options, ownedWith, env }, signal),
    probe: probeAppFile,
    untilChanged,
    readText: (path) => readFile(path, "utf8").catch(() => undefined), // an optional file
    loggingProcesses: ({ stateDir, of }) => processesWithLogs({ folder: stateFiles(stateDir).logs, of }),
    logs: tailLogs,
    interruption: catchSignals,
  };
};

/**
 * Under `npm start` one Ctrl-C arrives twice: from the terminal, which signals all of its process group, and from npm, which is in that
 * group and forwards what it gets. Nothing tells the two apart but the time between them. It is measured from the first signal: a hand
 * that goes on pressing is heard as soon as the window is over.
 */
const catchSignals = (): AbortSignal => {
  const interrupted = new AbortController();
  let firstAt = 0;
  for (const name of SIGNALS) {
    process.on(name, () => {
      if (interrupted.signal.aborted) {
        if (performance.now() - firstAt < SIGNAL_ECHO_MS) return;
        process.exit(1);
      }
      firstAt = performance.now();
      const details = { signal: name };
      interrupted.abort(
        new ServeError("interrupted", `${name}: the command was interrupted; what it had begun was taken back.`, {
          details,
        }),
      );
    });
  }
  return interrupted.signal;
};

const createTerminal = (): Terminal => {
  process.stdout.on("error", reportLostOutput);
  process.stderr.on("error", () => {}); // there is nowhere left to say it
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    interactive: process.stderr.isTTY === true,
    stacks: process.env["MAITRED_DEBUG"] === "1" ? "shown" : "hidden",
    colour: {
      out: wantsColor(process.env, process.stdout.isTTY === true),
      err: wantsColor(process.env, process.stderr.isTTY === true),
    },
  };
};

/** A reader that went away (`| head`) has what it wanted: that ends the output, not the command. */
const reportLostOutput = (error: NodeJS.ErrnoException): void => {
  if (error.code === "EPIPE") return;
  process.stderr.write(`error the output cannot be written: ${error.message} [output-unwritable]\n`);
  process.once("exit", () => {
    process.exitCode = 1;
  });
};

const tailLogs = async (
  { stateDir, of, follow, sinceMs }: LogOptions,
  onLine: (line: string) => void,
): Promise<void> => {
  const unread = new AbortController();
  process.stdout.once("error", () => unread.abort());
  const signal = AbortSignal.any([catchSignals(), unread.signal]);
  await readLogs({ folder: stateFiles(stateDir).logs, of, sinceMs, follow, signal }, onLine);
};
