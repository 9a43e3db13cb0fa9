/**
 * Where a new actor goes: a pure choice over the nodes that are there. What a node has is its cpus and its memory, less the needs of all
 * replicas assigned to it, those on their way out included until they are gone. Of the nodes that can hold the actor the one with the
 * fewest actors, of equal ones the first by name. Without one the answer says what is missing.
 */
import type { NodeRecord } from "../model/actor.ts";
import type { Resources } from "../model/backend-config.ts";
import type { NodeName } from "../model/ids.ts";

export interface NodeLoad {
  readonly record: NodeRecord;
  /** Actors assigned to it. */
  readonly actors: number;
  readonly used: Usage;
}

/** Whole numbers, so that what was added is taken away exactly. */
export interface Usage {
  readonly millicpu: number;
  readonly memoryBytes: number;
}

export const NO_USAGE: Usage = { millicpu: 0, memoryBytes: 0 };

export const usageOf = ({ cpu, memoryBytes }: Resources): Usage => ({
  millicpu: Math.round(cpu * 1_000),
  memoryBytes: Math.round(memoryBytes),
});

/** The node for one more; undefined: none has room. */
export const placeActor = (nodes: readonly NodeLoad[], needs: Resources): NodeName | undefined => {
  const usage = usageOf(needs);
  const [first, ...others] = nodes.filter((node) => timesFitting(node, usage) > 0);
  if (first === undefined) return undefined;
  return others.reduce((a, b) => (isBetter(b, a) ? b : a), first).record.node;
};

/** How many more would find a place, one after the other; `Infinity` for what needs nothing. */
export const roomFor = (nodes: readonly NodeLoad[], needs: Resources): number => {
  const usage = usageOf(needs);
  return nodes.reduce((sum, node) => sum + timesFitting(node, usage), 0);
};

/** Why no more would: the end of a sentence, "2 of 3 replicas wait: …". */
export const describeShortage = (nodes: readonly NodeLoad[], needs: Resources): string => {
  const [first, ...others] = nodes;
  if (first === undefined) return "no node is registered";
  const wanted = describeUsage(usageOf(needs), usageOf(needs));
  const nearest = others.reduce((a, b) => (isNearer(b, a, needs) ? b : a), first);
  const { node } = nearest.record;
  const free = describeUsage(freeOn(nearest), usageOf(needs));
  const all = describeUsage(capacityOf(nearest), usageOf(needs));
  const where = nodes.length === 1 ? `node ${node}` : `${node}, of ${nodes.length} nodes the one with the most room,`;
  return `one needs ${wanted}, and ${where} has ${free} of ${all} free`;
};

const timesFitting = (node: NodeLoad, needs: Usage): number => {
  const free = freeOn(node);
  return Math.min(times(free.millicpu, needs.millicpu), times(free.memoryBytes, needs.memoryBytes));
};

/** What needs nothing fits also where more is used than there is. */
const times = (free: number, need: number): number =>
  need === 0 ? Number.POSITIVE_INFINITY : Math.max(0, Math.floor(free / need));

const capacityOf = ({ record }: NodeLoad): Usage => usageOf({ cpu: record.cpus, memoryBytes: record.memoryBytes });

const freeOn = (node: NodeLoad): Usage => {
  const capacity = capacityOf(node);
  return {
    millicpu: Math.max(0, capacity.millicpu - node.used.millicpu),
    memoryBytes: Math.max(0, capacity.memoryBytes - node.used.memoryBytes),
  };
};

const isBetter = (a: NodeLoad, b: NodeLoad): boolean =>
  a.actors === b.actors ? a.record.node < b.record.node : a.actors < b.actors;

/** By the part of the needs that it could hold. */
const isNearer = (a: NodeLoad, b: NodeLoad, needs: Resources): boolean => {
  const share = (node: NodeLoad): number => {
    const [free, need] = [freeOn(node), usageOf(needs)];
    return Math.min(
      need.millicpu === 0 ? 1 : free.millicpu / need.millicpu,
      need.memoryBytes === 0 ? 1 : free.memoryBytes / need.memoryBytes,
    );
  };
  return share(a) === share(b) ? a.record.node < b.record.node : share(a) > share(b);
};

/** "1.5 cpu and 300 MB of memory": of what is asked for only. */
const describeUsage = (usage: Usage, asked: Usage): string => {
  const cpu = `${usage.millicpu / 1_000} cpu`;
  const memory = `${Math.floor(usage.memoryBytes / 1e4) / 100} MB of memory`;
  if (asked.memoryBytes === 0) return cpu;
  return asked.millicpu === 0 ? memory : `${cpu} and ${memory}`;
};
