/**
 * A fixed sequence of calls and events on one node or a few, with crashes at chosen effects. Every effect of the controller and of the agent is a
 * pair of moments, before and after it; whoever is killed there is started again as in life. Afterwards everything must be at rest, and
 * what is saved must be what no crash leaves.
 */
import { ServeError } from "../../base/serve-error.ts";
import { unrest } from "../checkers/at-rest.ts";
import { watchOver } from "../checkers/checkers.ts";
import type { Facts } from "../checkers/facts.ts";
import { CrashPlan } from "../kernel/effects.ts";
import type { ProcessKind } from "../kernel/sim-process.ts";
import { type CallBody, Clients } from "../swarm/clients.ts";
import { type Violation, World } from "../world.ts";

export type Step =
  | CallBody
  /** A replica of this backend dies. */
  | { readonly kind: "killReplica"; readonly backend: string }
  /** The youngest replica of this backend is unhealthy from now on. */
  | { readonly kind: "sicken"; readonly backend: string }
  /** It is stopped, and never goes on. */
  | { readonly kind: "stall"; readonly backend: string }
  /** It dies, and for a while nothing of the backend can start. */
  | { readonly kind: "outage"; readonly backend: string }
  /** Each router has so many queries for this backend from now on. */
  | { readonly kind: "load"; readonly backend: string; readonly queries: number }
  /** A node that does not lead loses its power, or its connections, until `rejoin`. */
  | { readonly kind: "powerOff" }
  | { readonly kind: "cutOff" }
  | { readonly kind: "rejoin" }
  /** Somebody starts the instance again. */
  | { readonly kind: "start" };

export interface Scenario {
  readonly nodes: number;
  readonly steps: readonly Step[];
}

export interface ScenarioOptions {
  readonly seed: string;
  /** In scenarios.ts. */
  readonly name: string;
  readonly scenario: Scenario;
  /** Whose effects are moments for a crash. */
  readonly crashes: readonly ProcessKind[];
  readonly crashAt: readonly number[];
  /** Hears every line of the trace. */
  readonly onLine?: (line: string) => void;
}

export interface ScenarioResult {
  readonly violation: Violation | undefined;
  /** All moments that came, in order. */
  readonly moments: readonly string[];
  /** `createBackend reached`, for each call; and what is saved in the end. */
  readonly outcomes: readonly string[];
  readonly saved: unknown;
  readonly traceHash: string;
}

/** Virtual time that one step may take, whatever crashes: a few leases, windows and restarts with their pauses. */
const STEP_MS = 120_000;
const LOOK_MS = 250;
/** Longer than the attempts of one name: its agent gives up meanwhile. */
const OUTAGE_MS = 4_000;

export const runScenario = async ({
  seed,
  scenario: { nodes, steps },
  crashes,
  crashAt,
  onLine,
}: ScenarioOptions): Promise<ScenarioResult> => {
  const plan = new CrashPlan((process) => crashes.includes(process.facts.kind), crashAt);
  const world = new World({ seed, nodes, effects: plan, onLine });
  const clients = new Clients(world, 0);
  const facts = watchOver(world, (id) => clients.callOf(id));
  world.start();
  await untilHolds(
    world,
    "the instance runs",
    () => facts.instance() !== undefined && unrest(world, facts).length === 0,
  );
  plan.isActive = true;
  const outcomes: string[] = [];
  for (const step of steps) outcomes.push(`${step.kind} ${await play({ world, clients, facts }, step)}`);
  await untilHolds(world, "everything is at rest", () => unrest(world, facts).length === 0);
  plan.isActive = false;
  return {
    violation: world.violation,
    moments: plan.labels,
    outcomes,
    saved: savedOf(facts),
    traceHash: world.trace.hash(),
  };
};

interface Stage {
  readonly world: World;
  readonly clients: Clients;
  readonly facts: Facts;
}

const play = async ({ world, clients, facts }: Stage, step: Step): Promise<string> => {
  const [node] = world.nodes;
  if (step.kind === "start") {
    await untilHolds(world, "it runs again", () => {
      if (facts.instance()?.phase === "running") return unrest(world, facts).length === 0;
      // Who starts an instance tries again when the agent dies over it.
      world.startAgent(node!, "asked");
      return false;
    });
    return "done";
  }
  if (step.kind === "powerOff" || step.kind === "cutOff") {
    const victim = world.nodes.find(({ name }) => name !== facts.leader()?.node)!;
    if (step.kind === "powerOff") world.powerOff(victim);
    else world.mishaps.cutOff(victim.name);
    await untilHolds(world, "the others have taken its place", () => {
      const isLost = (it: { readonly node: string }) => it.node === victim.name;
      return !facts.assignments().some(isLost) && facts.backends().every(({ tag }) => facts.isAsWanted(tag));
    });
    return "done";
  }
  if (step.kind === "load") {
    world.mishaps.setLoad(step.backend, step.queries);
    await untilHolds(world, "the replicas that it asks for run", () => unrest(world, facts).length === 0);
    return `${facts.backend(step.backend)?.autoscaled?.replicas}`;
  }
  if (step.kind === "rejoin") {
    world.endMishaps();
    await untilHolds(world, "everything is at rest", () => unrest(world, facts).length === 0);
    return "done";
  }
  if (step.kind === "killReplica") {
    const replica = node!.ofKind("replica").at(-1);
    replica?.end({ code: undefined, signal: "SIGKILL" });
    await untilHolds(world, "the replica is back", () => unrest(world, facts).length === 0);
    return "done";
  }
  if (step.kind === "sicken" || step.kind === "stall" || step.kind === "outage") {
    const victim = node!.ofKind("replica").findLast((process) => world.backendOf(process) === step.backend);
    if (step.kind === "sicken") victim?.onHealth?.("unhealthy");
    else if (step.kind === "stall") victim?.stop();
    else {
      world.beginOutage(step.backend, OUTAGE_MS);
      victim?.end({ code: undefined, signal: "SIGKILL" });
    }
    await untilHolds(
      world,
      "the replica is replaced",
      () => victim?.isAlive !== true && !world.hasOutage(step.backend) && unrest(world, facts).length === 0,
    );
    return "done";
  }
  let outcome: string | undefined;
  const sent = clients.send(step, "never");
  const id = [...clients.calls.keys()].at(-1)!;
  sent.then(
    (answer) => {
      outcome = answer.kind === "goal" ? "goal" : answer.code;
    },
    (error: unknown) => world.violate("clients", String(error)),
  );
  const ends = step.kind === "stop" || step.kind === "shutdown";
  await untilHolds(world, `${step.kind} is settled`, () => {
    if (ends) return world.hasEnded(node!);
    const goal = facts.goal(id);
    if (outcome !== undefined && outcome !== "goal") return true;
    return outcome === "goal" && goal !== undefined && goal.state !== "pending";
  });
  return ends ? (facts.instance()?.phase ?? "erased") : (facts.goal(id)?.state ?? outcome ?? "unanswered");
};

const untilHolds = async (world: World, what: string, holds: () => boolean): Promise<void> => {
  const deadline = world.scheduler.now() + STEP_MS;
  while (world.violation === undefined && !holds()) {
    if (world.scheduler.now() >= deadline) world.violate("scenario", `did not come true within ${STEP_MS} ms: ${what}`);
    await world.run(LOOK_MS);
  }
};

/** What must not depend on crashes: no times, no processes, no ordinals. */
const savedOf = (facts: Facts): unknown => ({
  phase: facts.instance()?.phase,
  backends: facts
    .backends()
    .map(({ tag, code, config, rollout, deleting }) => ({ tag, code, config, rollout, deleting })),
  endpoints: facts.endpoints().map(({ tag, traffic, shadows }) => ({ tag, traffic, shadows })),
  apps: facts.apps().map(({ name, backends, endpoints }) => ({ name, backends, endpoints })),
  goals: facts.goals().map(({ id, state }) => ({ id, state })),
  replicas: facts
    .assignments()
    .map(({ spec, intent }) => [spec.kind, spec.kind === "replica" ? spec.backend : "", intent.kind])
    .sort(),
});

/** Runs the scenario without a crash, then once for each of its moments. Answers what differed, with the moment's name. */
export const crashEverywhere = async (
  options: Omit<ScenarioOptions, "crashAt">,
  crashPoints: (moments: number) => readonly (readonly number[])[] = everyMoment,
): Promise<{ readonly runs: number; readonly problems: readonly string[] }> => {
  const wanted = await runScenario({ ...options, crashAt: [] });
  if (wanted.violation !== undefined) {
    throw new ServeError("internal", `without a crash: ${wanted.violation.checker}: ${wanted.violation.message}`);
  }
  const problems: string[] = [];
  const points = crashPoints(wanted.moments.length);
  for (const crashAt of points) {
    const found = await runScenario({ ...options, crashAt });
    const where = crashAt.map((moment) => `${moment} (${found.moments[moment] ?? "never came"})`).join(" and ");
    const { violation } = found;
    const replay = `npm run sim -- --scenario "${options.name}" --seed ${options.seed} --kill ${options.crashes} --at ${crashAt} --verbose`;
    if (violation !== undefined) {
      problems.push(`crash at ${where}: ${violation.checker}: ${violation.message}. Replay: ${replay}`);
    } else {
      for (const part of ["outcomes", "saved"] as const) {
        const [is, was] = [JSON.stringify(found[part]), JSON.stringify(wanted[part])];
        if (is !== was) problems.push(`crash at ${where}: ${part} are ${is}, without it ${was}. Replay: ${replay}`);
      }
    }
  }
  return { runs: points.length, problems };
};

const everyMoment = (moments: number): readonly (readonly number[])[] =>
  Array.from({ length: moments }, (_, at) => [at]);
