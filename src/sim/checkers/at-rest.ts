/**
 * When faults are over and some time has passed: every goal is settled, what runs is what is wanted, nothing else lives, and every router
 * knows exactly that. Answers what is not at rest yet.
 */
import type { Assignment } from "../../model/actor.ts";
import type { NodeName } from "../../model/ids.ts";
import { ACTOR_FILE_VARIABLE } from "../../model/launch.ts";
import type { ActorFile } from "../../model/places.ts";
import type { BackendRecord, GoalRecord } from "../../model/records.ts";
import type { Behaviour } from "../actors/replica-program.ts";
import type { World } from "../world.ts";
import { type Facts, isSameJson } from "./facts.ts";
import { hasRoomFor } from "./room.ts";

export const unrest = (world: World, facts: Facts): readonly string[] => {
  const instance = facts.instance();
  if (instance === undefined) return world.processes().map((it) => `${it.facts.name} lives`);
  const pending = facts.goals().filter((goal) => goal.state === "pending" && !isShortOfRoom(world, facts, goal));
  const problems = pending.map(({ id, subject }) => `goal ${id} (${JSON.stringify(subject)}) is pending`);
  if (facts.leader() === undefined && instance.phase === "running") problems.push("nobody leads");
  problems.push(...backendProblems(world, facts), ...processProblems(world, facts));
  if (instance.phase === "running") problems.push(...nodeProblems(world, facts), ...routerProblems(world, facts));
  return problems;
};

/** It waits for room, and says so, until somebody makes some; so does a deploy with a part that does. */
const isShortOfRoom = (world: World, facts: Facts, { subject }: GoalRecord): boolean => {
  if (subject.kind === "app") {
    const waiting = subject.parts.flatMap((part) => facts.goal(part) ?? []).filter((part) => part.state === "pending");
    return waiting.some((part) => isShortOfRoom(world, facts, part));
  }
  return subject.kind === "backend" && subject.until !== "gone" && !hasRoomFor(world, facts, subject.tag);
};

const backendProblems = (world: World, facts: Facts): readonly string[] => {
  if (facts.instance()?.phase !== "running") return [];
  return facts.backends().flatMap((record) => {
    const asked = askedReplicas(world, facts, record);
    if (facts.wantedReplicas(record) !== asked) return [`the load of ${record.tag} asks for ${asked} replicas`];
    if (facts.isAsWanted(record.tag)) return [];
    // What failed stays as it is until somebody changes it: a change that was refused, a roll-out whose replicas cannot start.
    const outcome = facts.goal(record.goal);
    const replicas = facts.replicasOf(record.tag);
    const hasStopped = record.provenRollout !== record.rollout && replicas.some((it) => facts.hasGivenUp(it));
    const isShort = !hasRoomFor(world, facts, record.tag);
    const isFailed = outcome?.state === "failed" || hasStopped;
    if (isFailed && hasRunBefore(record)) {
      return isShort || !hasRoomFor(world, facts, record.tag, "proven") ? [] : standInProblems(facts, record);
    }
    return outcome?.state === "failed" || hasStopped || isShort || replicas.some(isHopeless)
      ? []
      : [`backend ${record.tag} is not as wanted, its goal is ${outcome?.state}`];
  });
};

/** An older version of it once ran, and the newest, which is another for user code too, never did. */
const hasRunBefore = ({ unproven, provenRollout, rollout, proven, config }: BackendRecord): boolean =>
  unproven !== true &&
  (provenRollout !== rollout || (proven !== undefined && !isSameJson([proven.config.userConfig], [config.userConfig])));

/** The newest version has failed: as many replicas as are wanted run all the same, whatever became of those that ran then. */
const standInProblems = (facts: Facts, record: BackendRecord): readonly string[] => {
  const { tag, proven } = record;
  if (proven === undefined) return [`the newest version of ${tag} has failed, and what ran before it is not kept`];
  const replicas = facts.replicasOf(tag);
  const runsProven = (it: Assignment) => it.rollout === proven.rollout && it.configRevision <= proven.configRevision;
  if (replicas.some((it) => runsProven(it) && isHopeless(it))) return [];
  const ready = replicas.filter((replica) => {
    const status = facts.countedStatus(replica);
    return replica.intent.kind === "run" && status?.state === "ready" && status.health === "healthy";
  });
  const trying = replicas.find((it) => holdsRefused(record, it) && !facts.hasGivenUp(it));
  if (trying !== undefined) return [`${trying.actor} would start with what ${tag} has refused`];
  const wanted = facts.wantedReplicas(record);
  if (ready.length === wanted) return [];
  return [`the newest version of ${tag} has failed, and ${ready.length} of ${wanted} replicas run`];
};

/** Its roll-out once ran; the configuration that it holds did not. */
const holdsRefused = ({ proven }: BackendRecord, { intent, rollout, configRevision }: Assignment): boolean =>
  proven !== undefined && intent.kind === "run" && rollout === proven.rollout && configRevision > proven.configRevision;

/** What a load that stays as it is leads to. */
const askedReplicas = (world: World, facts: Facts, record: BackendRecord): number => {
  const { autoscaling } = facts.config(record);
  if (autoscaling === undefined) return facts.wantedReplicas(record);
  const { minReplicas, maxReplicas, targetQueriesPerReplica } = autoscaling;
  const knows = [...world.routers].filter(({ router }) =>
    router.endpoints().endpoints.some(({ backends }) => Object.hasOwn(backends, record.tag)),
  );
  const queries = knows.length * world.mishaps.loadOf(record.tag);
  return Math.min(Math.max(Math.ceil(queries / targetQueriesPerReplica), minReplicas), maxReplicas);
};

/** Its code never stays healthy, or can never start in time: it is replaced for ever, with pauses. */
const isHopeless = ({ spec }: Assignment): boolean => {
  if (spec.kind !== "replica") return false;
  const { illMs, startMs = 0 } = (spec.config.userConfig ?? {}) as Behaviour;
  return illMs !== undefined || startMs >= spec.config.startTimeoutMs;
};

const nodeProblems = (world: World, facts: Facts): readonly string[] =>
  world.nodes.flatMap((node) => {
    const proxies = facts.assignments().filter((it) => it.node === node.name && it.spec.kind === "proxy");
    const ready = proxies.filter((it) => facts.countedStatus(it)?.state === "ready");
    const wanted = wantedProxies(world, facts, node.name);
    return [
      ...(facts.node(node.name) === undefined ? [`${node.name} is not registered`] : []),
      ...(node.ofKind("controller").length === 1
        ? []
        : [`${node.name} has ${node.ofKind("controller").length} controllers`]),
      ...(ready.length === wanted && proxies.length === wanted
        ? []
        : [`${node.name} has ${ready.length} proxies of ${proxies.length}`]),
    ];
  });

/** Without labels the first node by name is the head. */
const wantedProxies = ({ nodes }: World, facts: Facts, node: NodeName): number => {
  const { location = "none", proxiesPerNode = 0 } = facts.instance()?.http ?? {};
  const [head] = nodes.map(({ name }) => name).sort();
  return location === "every" || (location === "head" && node === head) ? proxiesPerNode : 0;
};

/** Every living actor has a record that says so, and every record's word is true. */
const processProblems = (world: World, facts: Facts): readonly string[] => {
  const living = new Map<string, number>();
  const problems: string[] = [];
  const assigned = new Map(facts.assignments().map((it) => [it.actor as string, it]));
  for (const node of world.nodes) {
    for (const process of node.processes) {
      const path = process.facts.env[ACTOR_FILE_VARIABLE];
      if (path === undefined) continue;
      const actor = node.disk.read<ActorFile>(path)?.assignment.actor ?? path;
      living.set(actor, process.facts.identity.pid);
      if (assigned.get(actor)?.node !== node.name) problems.push(`${actor} lives on ${node.name} without a record`);
    }
  }
  for (const assignment of assigned.values()) {
    const status = facts.countedStatus(assignment);
    if (status === undefined) problems.push(`nothing that counts is known of ${assignment.actor}`);
    else if (status.pid !== living.get(assignment.actor))
      problems.push(`the status of ${assignment.actor} is not true`);
    if (assignment.intent.kind !== "run") problems.push(`${assignment.actor} is still going`);
  }
  return problems;
};

const routerProblems = (world: World, facts: Facts): readonly string[] => {
  const hopeless = new Set(
    facts
      .assignments()
      .filter(isHopeless)
      .map((it) => it.actor),
  );
  return [...world.routers].flatMap(({ name, kind, router }) => {
    if (kind !== "proxy") return [];
    const known = router.endpoints().endpoints.map(({ tag, traffic, shadows, backends }) => [
      tag,
      { traffic, shadows },
      Object.entries(backends)
        .map(([backend, { replicas }]) => [
          backend,
          replicas.flatMap((it) => (hopeless.has(it.replica) ? [] : [`${it.replica}/${it.incarnation}`])).sort(),
        ])
        .sort(),
    ]);
    const wanted = facts.endpoints().map(({ tag, traffic, shadows }) => [
      tag,
      { traffic, shadows },
      [...new Set([...Object.keys(traffic), ...Object.keys(shadows)])].sort().map((backend) => [
        backend,
        facts
          .replicasOf(backend)
          .flatMap((replica) => {
            const status = facts.countedStatus(replica);
            return status?.state === "ready" && !isHopeless(replica) ? [`${replica.actor}/${status.incarnation}`] : [];
          })
          .sort(),
      ]),
    ]);
    const byTag = (a: unknown[], b: unknown[]) => (String(a[0]) < String(b[0]) ? -1 : 1);
    return isSameJson(known.sort(byTag), wanted.sort(byTag))
      ? []
      : [`${name} knows ${JSON.stringify(known)} instead of ${JSON.stringify(wanted)}`];
  });
};
