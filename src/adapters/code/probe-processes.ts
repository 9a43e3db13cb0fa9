/** ports/code-probe.ts by processes of this machine, set up as those of replicas are. */
import { closeSync } from "node:fs";
import { isServeError, ServeError, toErrorBody } from "../../base/serve-error.ts";
import { pathOfUrl } from "../../core/module-problem.ts";
import { stateFiles } from "../../model/places.ts";
import type { ProbeAnswer, ProbeOrder } from "../../model/probe.ts";
import type { ProbeProcesses } from "../../ports/code-probe.ts";
import type { Entries } from "../../ports/entries.ts";
import { checkFolder, environmentOf, openLog } from "../processes.ts";
import { type ProbeSetup, type RunningProbe, startProbe } from "./probe-process.ts";

export interface ProbePlace {
  readonly entries: Entries;
  readonly stateDir: string;
  readonly cwd: string;
  readonly execArgv: readonly string[];
  /** `log`: what code prints goes into a log file; `nowhere`: its replicas will print it again. */
  readonly output: "log" | "nowhere";
  readonly session: ProbeSetup["session"];
}

export const probeProcesses = (place: ProbePlace): ProbeProcesses => {
  const running = new Set<RunningProbe>();
  return {
    probe: async (order) => {
      let probe: RunningProbe | undefined;
      try {
        probe = start(place, order);
        running.add(probe);
        return (await probe.next()) as ProbeAnswer;
      } catch (error) {
        if (!isServeError(error)) throw error;
        const { code, message, details } = toErrorBody(error);
        return { kind: "failed", error: { code, message, details } };
      } finally {
        if (probe !== undefined) running.delete(probe);
      }
    },
    endAll: () => {
      for (const probe of running) probe.kill();
    },
  };
};

const start = (place: ProbePlace, { module, targets, runtime, timeoutMs, keep }: ProbeOrder): RunningProbe => {
  const { entries, stateDir, execArgv, output, session } = place;
  const subject = `module ${pathOfUrl(module)}`;
  const cwd = runtime.cwd ?? place.cwd;
  const env = environmentIn(cwd, runtime, subject);
  const log = output === "log" ? openLog(stateFiles(stateDir).log("probe")) : undefined;
  try {
    return startProbe(
      { kind: "code", module, targets, keepIn: keep === "code" ? stateDir : undefined },
      {
        entry: entries.probe(module),
        nodeArgs: [...execArgv, ...runtime.nodeArgs],
        ...{ cwd, env, timeoutMs, subject },
        output: log ?? "ignore",
        session,
      },
    );
  } finally {
    if (log !== undefined) closeSync(log);
  }
};

/** Of the user's configuration, so the code that it is about is named. */
const environmentIn = (cwd: string, { envFile, env }: ProbeOrder["runtime"], subject: string): NodeJS.ProcessEnv => {
  try {
    checkFolder(cwd);
    return environmentOf({ file: envFile, set: env });
  } catch (error) {
    if (!isServeError(error)) throw error;
    throw new ServeError(error.code, `${subject} was not loaded: ${error.message}`, { cause: error });
  }
};
