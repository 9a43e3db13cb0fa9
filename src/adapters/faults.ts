/**
 * ports/fault.ts from `MAITRED_FAULT`: `crash-after-save:0.5`, several with commas. At a named point the process is killed with that
 * probability, as by the kernel: no handler runs, nothing is flushed. Without the variable no point does anything.
 */
import { ServeError } from "../base/serve-error.ts";
import type { Faults } from "../ports/fault.ts";
import type { Random } from "../ports/random.ts";

type Point = Parameters<Faults["point"]>[0];

const POINTS: ReadonlySet<string> = new Set<Point>(["crash-after-save"]);

/**
 * @param spec the variable's value; undefined and "" mean no faults.
 * Throws `config-invalid` when it names an unknown point or no probability.
 */
export function createFaults(spec: string | undefined, random: Random): Faults {
  const probabilities = parse(spec ?? "");
  return {
    point: (name) => {
      if (random.number() < (probabilities.get(name) ?? 0)) process.kill(process.pid, "SIGKILL");
    },
  };
}

function parse(spec: string): ReadonlyMap<string, number> {
  const items = spec.split(",").filter((item) => item.trim() !== "");
  return new Map(
    items.map((item): [string, number] => {
      const [name = "", text = ""] = item.trim().split(":");
      const probability = text.trim() === "" ? Number.NaN : Number(text);
      if (!POINTS.has(name)) throw invalid(`${JSON.stringify(name)} is not a fault point`);
      if (!(probability >= 0 && probability <= 1)) throw invalid(`${name} needs a probability from 0 to 1`);
      return [name, probability];
    }),
  );
}

const invalid = (problem: string) =>
  new ServeError("config-invalid", `MAITRED_FAULT: ${problem}. Write for example MAITRED_FAULT=crash-after-save:0.5.`);
