/**
 * No acknowledged change is lost, none is applied twice, none is undone by a retry. Every goal is saved once, in the transaction of its
 * call; folding the calls in the order of their goals gives what must be saved, after every single transaction. Whatever changes in
 * a record without a new goal was nobody's call.
 */
import { type BackendConfigInput, resolveBackendConfig, UPDATE_KIND } from "../../model/backend-config.ts";
import type { Call } from "../../model/calls.ts";
import { GOAL_RESEND_MS } from "../../model/limits.ts";
import type { BackendRecord, EndpointRecord, GoalRecord } from "../../model/records.ts";
import { type Commit, keyOf } from "../store/sim-store.ts";
import type { World } from "../world.ts";
import { type Facts, isSameJson } from "./facts.ts";

interface Backend {
  readonly code: unknown;
  /** Compared with its defaults: saying what is so anyway changes nothing. */
  readonly config: BackendConfigInput;
  /** What its code was found to be. The client does not say it: whoever takes its call does. */
  readonly files: string | undefined;
  readonly rollout: number;
  readonly isDeleting: boolean;
}

type Endpoint = Pick<EndpointRecord, "spec" | "traffic" | "shadows">;

const NAME = "history";

/** @param callOf what a client has sent under this goal id. */
export const checkHistory = (world: World, facts: Facts, callOf: (goalId: string) => Call | undefined): void => {
  const backends = new Map<string, Backend>();
  const endpoints = new Map<string, Endpoint>();
  const opened = new Set<string>();
  /** Backends that have run: from then on createBackend makes nothing else of them. */
  const proven = new Set<string>();

  const forget = () => {
    backends.clear();
    proven.clear();
    endpoints.clear();
  };

  const apply = (id: string) => {
    if (opened.has(id)) return world.violate(NAME, `goal ${id} was opened a second time: its call was applied twice`);
    opened.add(id);
    const call = callOf(id);
    if (call === undefined) return world.violate(NAME, `goal ${id} was opened, and nobody has sent such a call`);
    foldBackend(backends, call, {
      proven,
      files: "tag" in call ? facts.backend(call.tag)?.identity?.files : undefined,
    });
    foldEndpoint(endpoints, call);
  };

  const compare = (key: string) => {
    const { keys } = world;
    if (key.startsWith(keys.backends)) {
      const tag = key.slice(keys.backends.length);
      const saved = facts.backend(tag);
      const wanted = backends.get(tag);
      // The last transaction of a deletion needs no call.
      if (saved === undefined && wanted?.isDeleting === true) backends.delete(tag);
      else if (!isSameJson(resolved(backendOf(saved)), resolved(wanted)))
        differs(`backend ${tag}`, backendOf(saved), wanted);
      if (saved === undefined) proven.delete(tag);
      else if (saved.unproven !== true) proven.add(tag);
      else if (proven.has(tag)) world.violate(NAME, `backend ${tag} has run, and is saved as if it never had`);
    } else if (key.startsWith(keys.endpoints)) {
      const tag = key.slice(keys.endpoints.length);
      const saved = endpointOf(facts.endpoint(tag));
      if (!isSameJson(saved, endpoints.get(tag))) differs(`endpoint ${tag}`, saved, endpoints.get(tag));
    }
  };

  const differs = (what: string, saved: unknown, wanted: unknown) =>
    world.violate(NAME, `${what} is saved as ${JSON.stringify(saved)}, the calls make it ${JSON.stringify(wanted)}`);

  world.on("commit", ({ changes, before }: Commit) => {
    const isErased = changes.some((change) => change.kind === "delete" && change.key === world.keys.instance);
    if (isErased) return forget();
    const touched = changes.map(keyOf);
    for (const [index, change] of changes.entries()) {
      const key = keyOf(change);
      if (!key.startsWith(world.keys.goals)) continue;
      if (change.kind === "put" && before[index] === undefined) {
        const id = key.slice(world.keys.goals.length);
        apply(id);
        touched.push(...keysOfCall(world, callOf(id)));
      }
      if (change.kind === "delete") checkForgotten(world, before[index]?.value);
    }
    for (const key of new Set(touched)) compare(key);
  });

  world.on("acknowledged", ({ call, goal }) => {
    if (goal.id !== call.goalId) world.violate(NAME, `the answer to ${call.goalId} is about goal ${goal.id}`);
    if (facts.goal(call.goalId) === undefined && facts.instance() !== undefined) {
      world.violate(NAME, `${call.kind} ${call.goalId} was acknowledged, and nothing of it is saved`);
    }
  });
};

const checkForgotten = (world: World, text: string | undefined): void => {
  const goal = JSON.parse(text ?? "{}") as GoalRecord;
  const now = 1_700_000_000_000 + world.scheduler.now();
  if (goal.settledAt === undefined || now - goal.settledAt < GOAL_RESEND_MS) {
    world.violate(NAME, `goal ${goal.id} (${goal.state}) was forgotten while its client may still send it again`);
  }
};

const keysOfCall = ({ keys }: World, call: Call | undefined): readonly string[] =>
  call === undefined || !("tag" in call) ? [] : [keys.backend(call.tag), keys.endpoint(call.tag)];

const backendOf = (record: BackendRecord | undefined): Backend | undefined =>
  record && {
    code: record.code,
    config: record.config,
    files: record.identity?.files,
    rollout: record.rollout,
    isDeleting: record.deleting !== undefined,
  };

const resolved = (backend: Backend | undefined) =>
  backend && { ...backend, config: resolveBackendConfig(backend.config) };

const endpointOf = (record: EndpointRecord | undefined): Endpoint | undefined =>
  record && { spec: record.spec, traffic: record.traffic, shadows: record.shadows };

interface Seen {
  readonly proven: ReadonlySet<string>;
  /** As saved by the call. */
  readonly files: string | undefined;
}

const foldBackend = (backends: Map<string, Backend>, call: Call, { proven, files }: Seen): void => {
  const known = "tag" in call ? backends.get(call.tag) : undefined;
  switch (call.kind) {
    case "createBackend":
      if (known === undefined || !proven.has(call.tag)) backends.set(call.tag, created(known, call, files));
      return;
    case "updateBackendConfig": {
      if (known === undefined) return;
      const config = { ...known.config, ...call.config };
      backends.set(call.tag, { ...known, config, rollout: known.rollout + (rolls(known.config, config) ? 1 : 0) });
      return;
    }
    case "restartBackend":
      if (known !== undefined) backends.set(call.tag, { ...known, rollout: known.rollout + 1 });
      return;
    case "deleteBackend":
      if (known !== undefined) backends.set(call.tag, { ...known, isDeleting: true });
      return;
    default:
      return;
  }
};

/** What never ran may be created as something else. */
const created = (
  known: Backend | undefined,
  call: Extract<Call, { kind: "createBackend" }>,
  files: string | undefined,
): Backend => {
  const wanted = { code: call.code, config: call.config, files, rollout: 1, isDeleting: false };
  if (known === undefined) return wanted;
  const { rollout, isDeleting } = known;
  const isSame = isSameJson(resolved({ ...wanted, rollout, isDeleting }), resolved(known));
  return isSame ? known : { ...wanted, rollout: rollout + 1 };
};

const rolls = (before: BackendConfigInput, after: BackendConfigInput): boolean => {
  const [was, is] = [resolveBackendConfig(before), resolveBackendConfig(after)];
  return (Object.keys(UPDATE_KIND) as (keyof typeof UPDATE_KIND)[]).some(
    (field) => UPDATE_KIND[field] === "rolling" && !isSameJson(was[field], is[field]),
  );
};

const foldEndpoint = (endpoints: Map<string, Endpoint>, call: Call): void => {
  const known = "tag" in call ? endpoints.get(call.tag) : undefined;
  switch (call.kind) {
    case "createEndpoint":
      if (known === undefined)
        endpoints.set(call.tag, { spec: call.spec, traffic: call.traffic, shadows: call.shadows });
      return;
    case "deleteEndpoint":
      endpoints.delete(call.tag);
      return;
    case "setTraffic":
      if (known !== undefined) endpoints.set(call.tag, { ...known, traffic: call.traffic });
      return;
    case "shadowTraffic": {
      if (known === undefined) return;
      const shadows: Record<string, number> = { ...known.shadows, [call.backend]: call.proportion };
      if (call.proportion === 0) delete shadows[call.backend];
      endpoints.set(call.tag, { ...known, shadows });
      return;
    }
    default:
      return;
  }
};
