/**
 * Where a new actor goes: a pure choice over the nodes that are there. Of the nodes that can hold it the one with the fewest actors,
 * of equal ones the first by name. Without one the answer says what is missing.
 */
import type { NodeRecord } from "../model/actor.ts";
import type { Resources } from "../model/backend-config.ts";
import type { NodeName } from "../model/ids.ts";

export interface NodeLoad {
  readonly record: NodeRecord;
  /** Actors assigned to it. */
  readonly actors: number;
}

export type Placement =
  | { readonly kind: "placed"; readonly node: NodeName }
  /** `missing` is the end of a sentence: "waits: …". */
  | { readonly kind: "pending"; readonly missing: string };

export const placeActor = (nodes: readonly NodeLoad[], needs: Resources): Placement => {
  if (nodes.length === 0) return { kind: "pending", missing: "no node is registered" };
  const fitting = nodes.filter(({ record }) => record.cpus >= needs.cpu && record.memoryBytes >= needs.memoryBytes);
  const [first, ...others] = fitting;
  if (first === undefined) {
    const largest = nodes.reduce((a, b) => (b.record.cpus > a.record.cpus ? b : a)).record;
    return {
      kind: "pending",
      missing: `one replica needs ${needs.cpu} cpu and ${needs.memoryBytes} bytes of memory, the largest node (${largest.node}) has ${largest.cpus} cpu and ${largest.memoryBytes} bytes`,
    };
  }
  const best = others.reduce((a, b) => (isBetter(b, a) ? b : a), first);
  return { kind: "placed", node: best.record.node };
};

const isBetter = (a: NodeLoad, b: NodeLoad): boolean =>
  a.actors === b.actors ? a.record.node < b.record.node : a.actors < b.actors;
