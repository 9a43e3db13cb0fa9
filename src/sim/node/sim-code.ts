/**
 * User code in a simulated world: modules are names, their files change as time goes by, and what a probe keeps lies on the node's disk.
 * Implements the agent's two ports about code. A module whose name holds `broken` cannot be loaded.
 */
import { keptCodeName } from "../../core/code-digest.ts";
import type { LoadedCode } from "../../model/code-ref.ts";
import { stateFiles } from "../../model/places.ts";
import type { ProbeAnswer, ProbeOrder } from "../../model/probe.ts";
import type { ProbeProcesses } from "../../ports/code-probe.ts";
import type { KeptCodeFiles } from "../../ports/kept-code.ts";
import { act } from "../kernel/act.ts";
import type { Effects } from "../kernel/effects.ts";
import type { SeededRandom } from "../kernel/seeded-random.ts";
import type { SimProcess } from "../kernel/sim-process.ts";
import type { Disk } from "./disk.ts";

interface NodeCode {
  readonly disk: Disk;
  readonly stateDir: string;
}

interface CodeOf extends NodeCode {
  readonly process: SimProcess;
  readonly effects: Effects;
  readonly random: SeededRandom;
}

const PROBE_MS = { from: 40, to: 900 };
/** Somebody edits the files of each module as often. */
const EDIT_MS = 300_000;

export const simProbes = ({ disk, stateDir, process, effects, random }: CodeOf): ProbeProcesses => ({
  probe: (order) =>
    new Promise<ProbeAnswer>((resolve) => {
      process.clock.after(random.between(PROBE_MS.from, PROBE_MS.to), () => {
        if (order.module.includes("broken")) {
          const error = { code: "module-load-failed", message: `${order.module} threw while it was imported` };
          return resolve({ kind: "failed", error });
        }
        const code = codeNow(order, process.clock.now());
        act({ process, effects }, "kept code", () => {
          disk.write(stateFiles(stateDir).keptCode(keptCodeName(code)), true, "durably");
        });
        const offers = { door: undefined, methods: ["predict"], batches: "yes", reconfigures: "yes" } as const;
        resolve({ kind: "loaded", code, targets: order.targets.map(() => ({ kind: "possible", offers })) });
      });
    }),
  endAll: () => {},
});

const codeNow = ({ module }: ProbeOrder, now: number): LoadedCode => ({
  files: `${module} in edition ${Math.floor(now / EDIT_MS)}`,
  entry: module,
});

export const simKeptCode = ({ disk, stateDir, process, effects }: Omit<CodeOf, "random">): KeptCodeFiles => {
  const files = stateFiles(stateDir);
  return {
    names: () => disk.paths(files.code).map((path) => path.slice(files.code.length + 1, -".json".length)),
    remove: (name) => void act({ process, effects }, "removal of kept code", () => disk.delete(files.keptCode(name))),
  };
};

/** Checkers ask for the same code at every commit. */
const names = new WeakMap<LoadedCode, string>();

export const hasKeptCode = ({ disk, stateDir }: NodeCode, code: LoadedCode): boolean => {
  const name = names.get(code) ?? keptCodeName(code);
  names.set(code, name);
  return disk.has(stateFiles(stateDir).keptCode(name));
};
