/**
 * Whether a goal's subject is as wanted: reached, failed with the user's error, or pending with progress and those who lag behind.
 * Pure and read-only: settling asks it, and so does whoever shows a pending goal.
 */

import type { Instant } from "../base/time.ts";
import type { ErrorBody } from "../model/error-codes.ts";
import type { ActorName, EndpointTag } from "../model/ids.ts";
import { MAX_ERROR_CHARS, PROGRAM_LAGGARD_MS, RECONNECT_WINDOW_MS } from "../model/limits.ts";
import type { BackendRecord } from "../model/records.ts";
import { describeFailure } from "./backend-reasons.ts";
import { type ObservedReplica, statusCounts } from "./observed-replica.ts";
import { isCurrent, isFailing, isNewest } from "./sick-replicas.ts";
import type { Laggard, SoftState } from "./soft-state.ts";
import type { View } from "./view.ts";

export type Verdict =
  | {
      readonly kind: "pending";
      readonly progress: { readonly done: number; readonly total: number } | undefined;
      readonly laggards: readonly string[];
      /** When time alone may change the verdict. */
      readonly again: Instant | undefined;
    }
  | { readonly kind: "reached"; readonly laggards: readonly string[] }
  | {
      readonly kind: "failed";
      readonly error: ErrorBody;
      /** What went wrong, without what to do about it; no full stop. */
      readonly why: string;
    };

const REACHED: Verdict = { kind: "reached", laggards: [] };

/** Exactly the wanted replicas run, each with this roll-out's code and this revision's configuration. */
export const judgeBackend = (record: BackendRecord, wanted: number, replicas: readonly ObservedReplica[]): Verdict => {
  if (record.deleting !== undefined) {
    return replicas.length === 0 ? REACHED : pending({ done: 0, total: replicas.length }, replicas.map(nameOf));
  }
  const failure = replicas.find((replica) => isFailing(record, replica));
  if (failure !== undefined) {
    return { kind: "failed", error: startError(record, failure), why: clip(describeFailure(failure)) };
  }
  const refusal = replicas.find((replica) => hasRefused(record, replica));
  if (refusal !== undefined) {
    return { kind: "failed", error: refusalError(record, refusal), why: clip(describeRefusal(refusal)) };
  }

  const good = replicas.filter((replica) => isAsWanted(record, replica));
  if (good.length === wanted && replicas.length === wanted) return REACHED;
  const laggards = replicas.filter((replica) => !isAsWanted(record, replica)).map(nameOf);
  return pending({ done: Math.min(good.length, wanted), total: wanted }, laggards);
};

/**
 * Every router that this life knows has applied the snapshot, expected proxies included. Programs are waited for a moment only.
 * Early in a life the registry is still filling: nothing settles out of an empty one.
 */
export const judgeEndpoint = (
  world: { readonly view: View; readonly soft: SoftState },
  tag: EndpointTag,
  now: Instant,
): Verdict => {
  const { view, soft } = world;
  const published = soft.published.get(tag);
  const exists = view.endpoint(tag) !== undefined;
  // A life that never knew the endpoint has told everybody what there is, and it was not in it.
  if (published === undefined && exists) return pending(undefined, []);
  const counter = published?.counter ?? 0;
  const lagging = [...expectedProxies(view, soft, counter), ...livingBehind(view, soft.routers.behind(tag, counter))];
  const programsUntil = (published?.at ?? soft.life.startedAt) + PROGRAM_LAGGARD_MS;
  const blocking = lagging.filter((it) => it.kind !== "program" || now < programsUntil);
  const names = [...new Set(lagging.map((it) => it.name))];
  const settlesFrom = soft.life.first ? soft.life.startedAt : soft.life.startedAt + RECONNECT_WINDOW_MS;
  if (blocking.length === 0 && now >= settlesFrom) return { kind: "reached", laggards: names };
  const instants = [now < settlesFrom ? settlesFrom : undefined, now < programsUntil ? programsUntil : undefined];
  const [again] = instants.filter((it) => it !== undefined).sort((a, b) => a - b);
  return { kind: "pending", progress: undefined, laggards: names, again };
};

/** Routers that have not applied all that concerns them up to a snapshot, whatever endpoint it is about. */
export const routersBehind = (view: View, soft: SoftState, counter: number): readonly Laggard[] => [
  ...expectedProxies(view, soft, undefined),
  ...livingBehind(view, soft.routers.unsettled(counter)),
];

/** Whether every proxy that runs has told this life what it knows and does. */
export const hasHeardProxies = (view: View, soft: SoftState): boolean =>
  expectedProxies(view, soft, undefined).length === 0;

/** Proxies that run, or are about to, and have not polled this life, or not applied `counter`. */
const expectedProxies = (view: View, soft: SoftState, counter: number | undefined): readonly Laggard[] => {
  const laggards: Laggard[] = [];
  for (const actor of view.proxies()) {
    if (view.assignment(actor)?.intent.kind !== "run" || isGone(view, actor)) continue;
    const applied = soft.routers.appliedBy(actor);
    if (applied === undefined || (counter !== undefined && applied < counter))
      laggards.push({ name: actor, kind: "proxy" });
  }
  return laggards;
};

/** A replica's handles die with it; proxies that count are the expected ones. */
const livingBehind = (view: View, laggards: readonly Laggard[]): readonly Laggard[] =>
  laggards.filter((it) => {
    const actor = it.name as ActorName;
    if (it.kind === "replica") return view.assignment(actor) !== undefined && !isGone(view, actor);
    if (it.kind === "proxy") return view.assignment(actor)?.intent.kind === "run" && !isGone(view, actor);
    return true;
  });

const isGone = (view: View, actor: ActorName): boolean => {
  const status = view.status(actor);
  return status !== undefined && status.state === "exited" && statusCounts(view, status);
};

const isAsWanted = (record: BackendRecord, replica: ObservedReplica): boolean =>
  replica.phase === "ready" &&
  replica.health === "healthy" &&
  isNewest(record, replica) &&
  replica.appliedRevision >= record.configRevision;

/**
 * It runs, and could not take this very revision: its `reconfigure` threw, or its code, which was still starting when the change was
 * made, turned out not to offer what that needs. The error says of which revision it speaks (`details.configRevision`), so that an old
 * refusal does not fail a newer change.
 */
const hasRefused = (record: BackendRecord, replica: ObservedReplica): boolean =>
  replica.phase === "ready" &&
  isCurrent(record, replica) &&
  replica.appliedRevision < record.configRevision &&
  replica.error?.details?.["configRevision"] === record.configRevision;

const startError = (record: BackendRecord, replica: ObservedReplica): ErrorBody => ({
  code: replica.phase === "failed" ? (replica.error?.code ?? "start-failed") : "replica-unhealthy",
  message: clip(
    `backend "${record.tag}": ${describeFailure(replica)}. ${record.unproven === true ? "Fix the code or the configuration and create it again, or delete it." : "Fix the code or the configuration, then make the change again."}`,
  ),
  details: { backend: record.tag, replica: replica.actor, failedStarts: replica.failedStarts },
});

const refusalError = (record: BackendRecord, replica: ObservedReplica): ErrorBody => {
  const code = replica.error?.code ?? "reconfigure-failed";
  const cure =
    code === "reconfigure-failed"
      ? "It goes on serving with its last userConfig; correct userConfig and update again."
      : "It goes on serving with its last configuration; correct it and update again.";
  return {
    code,
    message: clip(`backend "${record.tag}": ${describeRefusal(replica)}. ${cure}`),
    details: { backend: record.tag, replica: replica.actor },
  };
};

const describeRefusal = ({ actor, error }: ObservedReplica): string => {
  const what =
    error?.code === "reconfigure-failed" ? `reconfigure() of replica ${actor} threw` : `replica ${actor} refused it`;
  return `${what}: ${error?.message.replace(/\.$/, "")}`;
};

const clip = (message: string): string =>
  message.length <= MAX_ERROR_CHARS ? message : `${message.slice(0, MAX_ERROR_CHARS)} …`;

const pending = (
  progress: { readonly done: number; readonly total: number } | undefined,
  laggards: readonly string[],
): Verdict => ({ kind: "pending", progress, laggards, again: undefined });

const nameOf = (replica: ObservedReplica): string => replica.actor;
