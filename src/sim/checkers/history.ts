/**
 * No acknowledged change is lost, none is applied twice, none is undone by a retry. Every goal is saved once, in the transaction of its
 * call; folding the calls in the order of their goals gives what must be saved, after every single transaction. Whatever changes in
 * a record without a new goal was nobody's call.
 */
import type { Call } from "../../model/calls.ts";
import { GOAL_RESEND_MS } from "../../model/limits.ts";
import type { AppRecord, BackendRecord, EndpointRecord, GoalRecord } from "../../model/records.ts";
import type { KeyValue } from "../../ports/store.ts";
import { type Commit, keyOf, recordOf } from "../store/sim-store.ts";
import type { World } from "../world.ts";
import { type Facts, isSameJson } from "./facts.ts";
import { type Expected, type ExpectedBackend, type ExpectedEndpoint, foldSingle, resolved } from "./fold-calls.ts";
import { foldDeploy } from "./fold-deploy.ts";

const NAME = "history";

/** @param callOf what a client has sent under this goal id. */
export const checkHistory = (world: World, facts: Facts, callOf: (goalId: string) => Call | undefined): void => {
  const expected: Expected = { backends: new Map(), endpoints: new Map(), apps: new Map() };
  const { backends, endpoints, apps } = expected;
  const opened = new Set<string>();
  /** Backends that have run: from then on createBackend makes nothing else of them. */
  const proven = new Set<string>();

  const forget = () => {
    backends.clear();
    proven.clear();
    endpoints.clear();
    apps.clear();
  };

  const apply = (id: string) => {
    // A part of a deploy: its whole is a call.
    if (id.includes("#")) return;
    if (opened.has(id)) return world.violate(NAME, `goal ${id} was opened a second time: its call was applied twice`);
    opened.add(id);
    const call = callOf(id);
    if (call === undefined) return world.violate(NAME, `goal ${id} was opened, and nobody has sent such a call`);
    const filesOf = (tag: string) => facts.backend(tag)?.identity?.files;
    if (call.kind === "deploy") foldDeploy(expected, call, filesOf);
    else foldSingle(expected, call, { proven, filesOf });
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
    } else if (key.startsWith(keys.apps)) {
      const name = key.slice(keys.apps.length);
      const saved = appOf(facts.apps().find((app) => app.name === name));
      const wanted = appOf(apps.get(name));
      if (!isSameJson(saved, wanted)) differs(`app ${name}`, saved, wanted);
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
      if (change.kind === "delete") checkForgotten(world, before[index]!);
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

const checkForgotten = (world: World, entry: KeyValue): void => {
  const goal = recordOf<GoalRecord>(entry);
  const now = 1_700_000_000_000 + world.scheduler.now();
  if (goal.settledAt === undefined || now - goal.settledAt < GOAL_RESEND_MS) {
    world.violate(NAME, `goal ${goal.id} (${goal.state}) was forgotten while its client may still send it again`);
  }
};

const keysOfCall = ({ keys }: World, call: Call | undefined): readonly string[] => {
  if (call?.kind === "deploy") {
    const things = [...Object.keys(call.backends).map(keys.backend), ...Object.keys(call.endpoints).map(keys.endpoint)];
    return [...things, keys.app(call.app)];
  }
  return call === undefined || !("tag" in call) ? [] : [keys.backend(call.tag), keys.endpoint(call.tag)];
};

const backendOf = (record: BackendRecord | undefined): ExpectedBackend | undefined =>
  record && {
    code: record.code,
    config: record.config,
    files: record.identity?.files,
    rollout: record.rollout,
    isDeleting: record.deleting !== undefined,
    app: record.app,
  };

const endpointOf = (record: EndpointRecord | undefined): ExpectedEndpoint | undefined =>
  record && { spec: record.spec, traffic: record.traffic, shadows: record.shadows, app: record.app };

/** What its file said; what was found out beside it is not the app's. */
const appOf = (app: Pick<AppRecord, "backends" | "endpoints"> | undefined) =>
  app && {
    backends: Object.entries(app.backends)
      .map(([tag, { code, config }]) => ({ tag, code, config }))
      .sort((a, b) => (a.tag < b.tag ? -1 : 1)),
    endpoints: app.endpoints,
  };
