/**
 * What an agent does about one actor, from what it knows of it (actor-view.ts). Pure: (view, now) → what is true once the steps are
 * done, the steps in order, and when to look again.
 *
 * The agent restarts in place: same name, incarnation + 1, with a growing pause; after maxStartAttempts starts in a row that failed it
 * leaves a replica `exited` and the controller decides. It never chooses another name.
 * A ready process without a record belongs to a node that was given up for dead and is back: it is drained, not killed.
 * An intent goes forward only (run, drain, kill, no record): the controller replaces who leaves by another name.
 * A ready replica is asked from time to time whether its event loop turns; one that owes an answer for loopStallLimitMs is reported
 * as stalled and otherwise left alone: what becomes of it the controller decides.
 */
import { assertNever } from "../../base/assert.ts";
import type { Assignment, Intent } from "../../model/actor.ts";
import type { BackendConfig } from "../../model/backend-config.ts";
import { PROXY_DRAIN_TIMEOUT_MS, STALL_PING_MAX_MS, STALL_PING_MIN_MS } from "../../model/limits.ts";
import {
  type ActorView,
  assignmentOf,
  type Instant,
  type KillReason,
  type Life,
  NOT_TOLD,
  startedRevisionOf,
} from "./actor-view.ts";

export type Step =
  /** Save the file, durably, with this assignment. */
  | { readonly kind: "save"; readonly assignment: Assignment }
  /** Save the file for the next incarnation, then start its process. */
  | { readonly kind: "start"; readonly assignment: Assignment; readonly incarnation: number }
  | { readonly kind: "configure"; readonly configRevision: number; readonly config: BackendConfig }
  | { readonly kind: "intent"; readonly intent: Exclude<Intent, { kind: "kill" }> }
  | { readonly kind: "kill"; readonly reason: KillReason }
  /** Ask for a sign of life. */
  | { readonly kind: "ping" }
  /** Nothing is left of it: delete its file and its status. Always the last step. */
  | { readonly kind: "forget" };

export interface Decision {
  readonly view: ActorView;
  readonly steps: readonly Step[];
  /** Look again then at the latest; undefined = when something happens. */
  readonly wakeAt: Instant | undefined;
}

export interface Circumstances {
  readonly now: Instant;
  /** Until then nothing is started on the word of a local file alone: the store may answer and know better. */
  readonly trustFilesFrom: Instant;
}

export const decideActor = (view: ActorView, circumstances: Circumstances): Decision =>
  view.life.kind === "up" ? decideUp(view, view.life, circumstances.now) : decideDown(view, view.life, circumstances);

const nothing = (view: ActorView, wakeAt?: Instant): Decision => ({ view, steps: [], wakeAt });

type Up = Extract<Life, { kind: "up" }>;
type Down = Extract<Life, { kind: "down" }>;

// ── no process

const decideDown = (view: ActorView, life: Down, { now, trustFilesFrom }: Circumstances): Decision => {
  const assignment = assignmentOf(view);
  if (assignment === undefined) return { view, steps: [{ kind: "forget" }], wakeAt: undefined };
  if (assignment.intent.kind !== "run") return nothing(view);
  const fresh = forgiveFailures(view, assignment);
  if (hasGivenUp(fresh, assignment)) return nothing(fresh);
  const dueAt = Math.max(fresh === view ? life.notBefore : now, view.wanted.kind === "unknown" ? trustFilesFrom : now);
  if (now < dueAt) return nothing(fresh, dueAt);
  const incarnation = (view.file?.incarnation ?? 0) + 1;
  return { view: fresh, steps: [{ kind: "start", assignment, incarnation }], wakeAt: undefined };
};

/** Another configuration than the one that failed deserves its own attempts. */
const forgiveFailures = (view: ActorView, assignment: Assignment): ActorView => {
  const triedRevision = startedRevisionOf(view) ?? assignment.configRevision;
  return view.failedStarts > 0 && assignment.configRevision > triedRevision ? { ...view, failedStarts: 0 } : view;
};

/** Proxies are tried for ever: an instance without them answers nobody. */
const hasGivenUp = (view: ActorView, { spec }: Assignment): boolean =>
  spec.kind === "replica" && view.failedStarts >= spec.config.maxStartAttempts;

// ── a process

const decideUp = (view: ActorView, life: Up, now: Instant): Decision => {
  if (life.killed !== undefined) return nothing(view);
  const assignment = assignmentOf(view) ?? drainOfLost(view, life);
  if (assignment === undefined) return kill(view, life, "no-record");
  switch (assignment.intent.kind) {
    case "kill":
      return kill(view, life, "intent");
    case "drain":
      return decideDrain(view, life, { assignment, intent: assignment.intent, now });
    case "run":
      return decideRun(view, life, { assignment, now });
    default:
      return assertNever(assignment.intent);
  }
};

const drainOfLost = ({ file }: ActorView, { readySince }: Up): Assignment | undefined => {
  if (file === undefined || readySince === undefined) return undefined;
  const { assignment } = file;
  if (assignment.intent.kind !== "run") return assignment;
  const { spec } = assignment;
  const timeoutMs = spec.kind === "replica" ? spec.config.gracefulShutdownTimeoutMs : PROXY_DRAIN_TIMEOUT_MS;
  return { ...assignment, intent: { kind: "drain", timeoutMs } };
};

interface Draining {
  readonly assignment: Assignment;
  readonly intent: Extract<Intent, { kind: "drain" }>;
  readonly now: Instant;
}

const decideDrain = (view: ActorView, life: Up, { assignment, intent, now }: Draining): Decision => {
  const drainSince = life.drainSince ?? now;
  const endsAt = drainSince + intent.timeoutMs;
  if (now >= endsAt) return kill(view, { ...life, drainSince }, "drain-timeout");
  const steps: Step[] = [];
  if (view.file?.assignment.intent.kind !== "drain") steps.push({ kind: "save", assignment });
  if (life.isLinked && !life.toldDrain) steps.push({ kind: "intent", intent });
  const toldDrain = life.toldDrain || life.isLinked;
  return { view: { ...view, life: { ...life, drainSince, toldDrain } }, steps, wakeAt: endsAt };
};

interface Running {
  readonly assignment: Assignment;
  readonly now: Instant;
}

const decideRun = (view: ActorView, life: Up, { assignment, now }: Running): Decision => {
  const { spec, configRevision } = assignment;
  if (spec.kind === "proxy") return nothing(view);
  const isReady = life.readySince !== undefined;
  const startEndsAt = isReady ? undefined : life.since + spec.config.startTimeoutMs;
  if (startEndsAt !== undefined && now >= startEndsAt) return kill(view, life, "start-timeout");

  const steps: Step[] = [];
  // Also an older one: the newer was refused, and a next start must not be tried with it. The process itself is told newer ones alone.
  if (view.file?.assignment.configRevision !== configRevision) steps.push({ kind: "save", assignment });
  const hasRevision = Math.max(life.toldRevision, view.report?.configRevision ?? 0);
  // A process that nothing is known of yet is not told before it has reported what it started with.
  const isKnown = life.toldRevision !== NOT_TOLD || view.report !== undefined;
  const mustTell = life.isLinked && isKnown && hasRevision < configRevision;
  if (mustTell) steps.push({ kind: "configure", configRevision, config: spec.config });
  const told = mustTell ? { ...life, toldRevision: configRevision } : life;
  if (!isReady) return { view: { ...view, life: told }, steps, wakeAt: startEndsAt };
  const asked = askForLife(told, { limitMs: spec.config.loopStallLimitMs, now });
  return { view: { ...view, life: asked.life }, steps: [...steps, ...asked.steps], wakeAt: asked.wakeAt };
};

/** One question at a time: the socket loses none, and a lost socket is a question too, answered by the next hello. */
const askForLife = (
  life: Up,
  { limitMs, now }: { readonly limitMs: number; readonly now: Instant },
): { readonly life: Up; readonly steps: readonly Step[]; readonly wakeAt: Instant | undefined } => {
  if (life.askedAt !== undefined) {
    const stallsAt = life.askedAt + limitMs;
    const isStalled = now >= stallsAt;
    return { life: { ...life, isStalled }, steps: [], wakeAt: isStalled ? undefined : stallsAt };
  }
  const askAt = life.isLinked ? life.heardAt + pingIntervalOf(limitMs) : now;
  if (now < askAt) return { life, steps: [], wakeAt: askAt };
  return {
    life: { ...life, askedAt: now },
    steps: life.isLinked ? [{ kind: "ping" }] : [],
    wakeAt: now + limitMs,
  };
};

/** `pingIntervalOf(30_000)` is 5 000, `pingIntervalOf(4_000)` 1 000: a stall is seen after 1 to 1.25 limits, if the limit is not tiny. */
const pingIntervalOf = (limitMs: number): number =>
  Math.min(Math.max(limitMs / 4, STALL_PING_MIN_MS), STALL_PING_MAX_MS);

const kill = (view: ActorView, life: Up, reason: KillReason): Decision => ({
  view: { ...view, life: { ...life, killed: reason } },
  steps: [{ kind: "kill", reason }],
  wakeAt: undefined,
});
