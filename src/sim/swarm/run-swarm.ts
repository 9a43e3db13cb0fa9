/**
 * One run of a seed, in rounds of two phases. Safety: random calls under random faults, and no checker may object. Liveness: no more
 * faults and no more calls, and within a bounded time everything must be at rest.
 */
import { unrest } from "../checkers/at-rest.ts";
import { watchOver } from "../checkers/checkers.ts";
import { NO_CRASHES } from "../kernel/effects.ts";
import { type Violation, World } from "../world.ts";
import { Clients } from "./clients.ts";
import { FaultSwarm } from "./faults.ts";
import { Pauses } from "./pauses.ts";
import { Shutdown } from "./shutdown.ts";
import { drawCall } from "./workload.ts";

export interface SwarmOptions {
  readonly seed: string;
  readonly minutes: number;
  readonly onProgress?: (line: string) => void;
  /** Hears every line of the trace. */
  readonly onLine?: (line: string) => void;
}

export interface SwarmResult {
  readonly violation: Violation | undefined;
  readonly traceHash: string;
  readonly virtualMs: number;
  readonly events: number;
  readonly calls: number;
  readonly faults: readonly string[];
}

const SAFETY_MS = 90_000;
/** Backoff of restarts (30 s), drains (20 s), leases and windows, one after the other. */
const LIVENESS_MS = 120_000;
/** Calls and faults before the shutdown that ends some runs, and while it goes on. */
const SHUTDOWN_AFTER_MS = 10_000;
const SHUTDOWN_FAULTS_MS = 15_000;
const REST_LOOK_MS = 1_000;
const CREATION_MS = 10_000;

export const runSwarm = async ({ seed, minutes, onProgress, onLine }: SwarmOptions): Promise<SwarmResult> => {
  const world = new World({ seed, nodes: seedNodes(seed), effects: NO_CRASHES, onLine });
  const clients = new Clients(world, world.random.between(0, 0.5));
  const facts = watchOver(world, (id) => clients.callOf(id));
  const pauses = new Pauses(world, facts, clients);
  const problems = () => [
    ...(pauses.isUnderWay ? ["somebody stopped it and has not yet started it"] : []),
    ...(clients.open > 0 ? [`${clients.open} calls have no answer`] : []),
    ...unrest(world, facts),
  ];
  const begin = world.scheduler.now();
  const end = begin + minutes * 60_000;
  const kinds = new Set<string>();
  world.start();
  // Before that nothing is promised: whoever started it would start it again.
  await world.run(CREATION_MS, () => facts.instance() !== undefined);
  while (world.scheduler.now() < end && world.violation === undefined) {
    const faults = new FaultSwarm(world);
    for (const kind of faults.kinds) kinds.add(kind);
    faults.begin();
    const endPauses = pauses.begin();
    await safetyPhase(world, clients, Math.min(SAFETY_MS, end - world.scheduler.now()));
    faults.end();
    endPauses();
    await livenessPhase(world, problems);
    if (await pauses.stopAndStart(LIVENESS_MS)) await livenessPhase(world, problems);
    const minute = ((world.scheduler.now() - begin) / 60_000).toFixed(1);
    onProgress?.(
      `minute ${minute}: ${clients.calls.size} calls, ${world.scheduler.ran} events, faults: ${faults.kinds.join(", ")}`,
    );
  }
  const shutdown = new Shutdown(world, facts, clients);
  if (shutdown.isDrawn()) {
    const faults = new FaultSwarm(world);
    faults.begin();
    await safetyPhase(world, clients, world.random.below(SHUTDOWN_AFTER_MS));
    shutdown.begin();
    await safetyPhase(world, clients, world.random.below(SHUTDOWN_FAULTS_MS));
    faults.end();
    await shutdown.end(LIVENESS_MS);
  }
  return {
    violation: world.violation,
    traceHash: world.trace.hash(),
    virtualMs: world.scheduler.now() - begin,
    events: world.scheduler.ran,
    calls: clients.calls.size,
    faults: [...kinds],
  };
};

/** Half of the seeds have one node. */
const seedNodes = (seed: string): number => {
  const sum = [...seed].reduce((total, letter) => total + letter.charCodeAt(0), 0);
  return [1, 2, 1, 3][sum % 4]!;
};

const safetyPhase = async (world: World, clients: Clients, forMs: number): Promise<void> => {
  const random = world.random.fork("workload");
  const meanMs = random.pick([300, 1_000, 4_000])!;
  let isOver = false;
  const callLater = () => {
    world.scheduler.after(-Math.log(1 - random.number()) * meanMs, () => {
      if (isOver) return;
      void clients.send(drawCall(random));
      callLater();
    });
  };
  callLater();
  await world.run(forMs);
  isOver = true;
};

const livenessPhase = async (world: World, problems: () => readonly string[]): Promise<void> => {
  const deadline = world.scheduler.now() + LIVENESS_MS;
  while (world.violation === undefined) {
    await world.run(REST_LOOK_MS);
    const left = problems();
    if (left.length === 0) return;
    if (world.scheduler.now() >= deadline)
      world.violate("at-rest", `after ${LIVENESS_MS} ms without faults: ${left.join("; ")}`);
  }
};
