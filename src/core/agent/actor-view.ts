/**
 * What an agent knows of one actor, and how events change it: the store's record of it, its local file, its process, its last report.
 * Pure: instants come in. What to do about it is in decide-actor.ts.
 *
 * An instant here is supervision time: it stands still while the agent itself is stopped, so nobody is killed for the agent's pause.
 */
import type { ActorState, Assignment, ReplicaSpec } from "../../model/actor.ts";
import type { ErrorBody } from "../../model/error-codes.ts";
import type { ActorName } from "../../model/ids.ts";
import {
  BLOCKED_START_RETRY_MS,
  RESTART_BACKOFF_MAX_MS,
  RESTART_BACKOFF_MIN_MS,
  RESTART_BACKOFF_RESET_MS,
} from "../../model/limits.ts";
import type { ActorReport } from "../../model/link-messages.ts";
import type { ActorFile, ProcessIdentity } from "../../model/places.ts";

export type Instant = number;

/** What the store says. */
export type Wanted =
  /** Not read in this life of the agent: the local file stands for it. */
  | { readonly kind: "unknown" }
  /** There is no record: nothing of this name may live here. */
  | { readonly kind: "none" }
  | { readonly kind: "assigned"; readonly assignment: Assignment };

export type KillReason = "intent" | "no-record" | "drain-timeout" | "start-timeout";

export type Life =
  | { readonly kind: "down"; readonly notBefore: Instant }
  | {
      readonly kind: "up";
      readonly process: ProcessIdentity;
      readonly since: Instant;
      readonly readySince: Instant | undefined;
      readonly isLinked: boolean;
      /** Newest config revision that this process started with or was sent over its present link; NOT_TOLD = only its report knows. */
      readonly toldRevision: number;
      /** A drain was sent over its present link. */
      readonly toldDrain: boolean;
      /** Since when it was to drain. */
      readonly drainSince: Instant | undefined;
      readonly killed: KillReason | undefined;
      /** Its last sign of life. */
      readonly heardAt: Instant;
      /** Since when it owes an answer: to a ping, or by a hello since its link was lost. */
      readonly askedAt: Instant | undefined;
      /** It has owed an answer for longer than it may. */
      readonly isStalled: boolean;
    };

export interface ActorView {
  readonly actor: ActorName;
  readonly wanted: Wanted;
  /** As on disk; undefined = never started here. */
  readonly file: ActorFile | undefined;
  readonly life: Life;
  /** Of the present process. */
  readonly report: ActorReport | undefined;
  /** Why the last process ended, or why the last start or reconfigure failed. */
  readonly error: ErrorBody | undefined;
  readonly failedStarts: number;
  /** Restarts in a row of a process that had been ready. */
  readonly restarts: number;
}

/** How a process ended; both undefined: nobody was there to see it. */
export interface Exit {
  readonly code: number | undefined;
  readonly signal: string | undefined;
}

/** Below every config revision. */
export const NOT_TOLD = 0;

export const newActor = (actor: ActorName, wanted: Wanted): ActorView => ({
  actor,
  wanted,
  file: undefined,
  life: { kind: "down", notBefore: Number.NEGATIVE_INFINITY },
  report: undefined,
  error: undefined,
  failedStarts: 0,
  restarts: 0,
});

/**
 * An actor of an earlier life of the agent, whose process lives: until it speaks, what it said last is so. One that had said nothing may
 * have become ready while nobody listened: the time for its start begins anew.
 */
export const adoptedActor = (file: ActorFile, process: ProcessIdentity, now: Instant): ActorView => {
  const view: ActorView = { ...rememberedActor(file), life: up(process, now, NOT_TOLD) };
  return file.report === undefined ? view : reportedActor(view, file.report, now);
};

/** An actor of an earlier life of the agent, whose process is gone. */
export const deadActor = (file: ActorFile): ActorView => {
  const view = rememberedActor(file);
  const isNews = file.process !== undefined && file.error === undefined;
  return isNews ? { ...view, error: exitError(view, { code: undefined, signal: undefined }) } : view;
};

const rememberedActor = (file: ActorFile): ActorView => ({
  ...newActor(file.assignment.actor, { kind: "unknown" }),
  file,
  error: file.error,
  failedStarts: file.failedStarts,
});

export const spawnedActor = (view: ActorView, file: ActorFile, process: ProcessIdentity, now: Instant): ActorView => ({
  ...view,
  file,
  life: up(process, now, file.assignment.configRevision),
  report: undefined,
});

const up = (process: ProcessIdentity, since: Instant, toldRevision: number): Life => ({
  kind: "up",
  process,
  since,
  readySince: undefined,
  isLinked: false,
  toldRevision,
  toldDrain: false,
  drainSince: undefined,
  killed: undefined,
  heardAt: since,
  askedAt: undefined,
  isStalled: false,
});

/** It has said something, whatever it was: its event loop turns. */
export const heardActor = (view: ActorView, now: Instant): ActorView =>
  view.life.kind === "up"
    ? { ...view, life: { ...view.life, heardAt: now, askedAt: undefined, isStalled: false } }
    : view;

/** It said hello. */
export const linkedActor = (view: ActorView): ActorView =>
  view.life.kind === "up" ? { ...view, life: { ...view.life, isLinked: true, toldDrain: false } } : view;

/** What was sent over the lost link may be lost with it: its next report tells what it has. */
export const unlinkedActor = (view: ActorView): ActorView =>
  view.life.kind === "up" ? { ...view, life: { ...view.life, isLinked: false, toldRevision: NOT_TOLD } } : view;

export const reportedActor = (view: ActorView, report: ActorReport, now: Instant): ActorView => {
  if (view.life.kind !== "up") return view;
  const isReady = report.state !== "starting";
  const readySince = view.life.readySince ?? (isReady ? now : undefined);
  return {
    ...view,
    report,
    error: report.error ?? (isReady ? undefined : view.error),
    failedStarts: isReady ? 0 : view.failedStarts,
    life: { ...view.life, readySince, heardAt: now, askedAt: undefined, isStalled: false },
  };
};

/** The process is gone. Whether and when it comes back is decided by decide-actor.ts from what is noted here. */
export const exitedActor = (view: ActorView, exit: Exit, now: Instant): ActorView => {
  if (view.life.kind !== "up") return view;
  const { readySince } = view.life;
  const gone: ActorView = { ...view, error: exitError(view, exit), report: undefined };
  if (!isMeantToRun(view)) return { ...gone, life: { kind: "down", notBefore: now } };
  if (readySince === undefined) return failedStart(gone, gone.error, now);
  const restarts = now - readySince >= RESTART_BACKOFF_RESET_MS ? 0 : view.restarts;
  return { ...gone, restarts: restarts + 1, life: { kind: "down", notBefore: now + backoff(restarts) } };
};

/** A start that came to nothing: the process could not be made, ended before it was ready, or took too long. */
export const failedStart = (view: ActorView, error: ErrorBody | undefined, now: Instant): ActorView => ({
  ...view,
  error,
  report: undefined,
  failedStarts: view.failedStarts + 1,
  life: { kind: "down", notBefore: now + backoff(view.failedStarts + 1) },
});

/** A start that the agent could not write down: it is tried again for ever, and counts against nobody. */
export const blockedStart = (view: ActorView, error: ErrorBody, now: Instant): ActorView => ({
  ...view,
  error,
  life: { kind: "down", notBefore: now + BLOCKED_START_RETRY_MS },
});

/** 0 ms for the first, then 250, 500, 1000 … */
const backoff = (earlier: number): number =>
  earlier === 0 ? 0 : Math.min(RESTART_BACKOFF_MIN_MS * 2 ** (earlier - 1), RESTART_BACKOFF_MAX_MS);

/** The store's record, or the local file while the store is unknown; undefined = there is none. */
export const assignmentOf = ({ wanted, file }: ActorView): Assignment | undefined => {
  switch (wanted.kind) {
    case "assigned":
      return wanted.assignment;
    case "unknown":
      return file?.assignment;
    case "none":
      return undefined;
  }
};

/** What the newest process was started with: of that a failed start was, whatever was assigned meanwhile. */
export const startedRevisionOf = ({ file }: ActorView): number | undefined =>
  file?.startedRevision ?? file?.assignment.configRevision;

export const isStalled = ({ life }: ActorView): boolean => life.kind === "up" && life.isStalled;

export const isMeantToRun = (view: ActorView): boolean =>
  assignmentOf(view)?.intent.kind === "run" && (view.life.kind === "down" || view.life.killed !== "intent");

export const stateOf = (view: ActorView): ActorState => {
  if (view.life.kind === "down") return isAboutToStart(view) ? "starting" : "exited";
  if (view.life.drainSince !== undefined || view.report?.state === "draining") return "draining";
  return view.report?.state ?? "starting";
};

/** Its first start is a matter of milliseconds: nothing has exited yet. */
const isAboutToStart = (view: ActorView): boolean =>
  view.file === undefined && view.failedStarts === 0 && isMeantToRun(view);

/** What a person should read; undefined = it ended as it was told. */
const exitError = (view: ActorView, exit: Exit): ErrorBody | undefined => {
  const killed = view.life.kind === "up" ? view.life.killed : undefined;
  const config = replicaConfigOf(view);
  switch (killed) {
    case "intent":
    case "no-record":
      return undefined;
    case "drain-timeout":
      return body("drain-timeout", `${view.actor} did not finish its queries in time and was killed.`);
    case "start-timeout":
      return body(
        "start-timeout",
        `${view.actor} was not ready within startTimeoutMs (${config?.startTimeoutMs} ms) and was killed. Its constructor or start() does not end; fix it, or raise startTimeoutMs.`,
      );
    case undefined:
      break;
  }
  if (!isMeantToRun(view) && exit.code === 0) return undefined;
  // A report that names an error is the process's own word on why it ends.
  if (view.report?.error !== undefined && view.report.state === "starting") return view.report.error;
  // Code that ends its process so has mostly said hello before: it is loaded behind that.
  if (exit.code === NODE_REFUSES && view.report === undefined && config !== undefined)
    return refusedByNode(view, config);
  const when = view.life.kind === "up" && view.life.readySince === undefined ? " before it was ready" : "";
  return body("process-exited", `${view.actor} ended${when}: ${wordsOf(exit)}. ${cureOf(exit)}`);
};

/** Node's exit status for arguments that it does not know or take. */
const NODE_REFUSES = 9;

const refusedByNode = ({ actor }: ActorView, { nodeArgs }: ReplicaSpec["config"]): ErrorBody =>
  body(
    "config-invalid",
    `${actor} ended before it ran: exit status ${NODE_REFUSES}, by which Node refuses its arguments; nodeArgs is ${JSON.stringify(nodeArgs)}. Correct nodeArgs, or NODE_OPTIONS in env.`,
  );

const cureOf = ({ code }: Exit): string =>
  code === undefined
    ? `${ITS_OUTPUT} says more.`
    : `Let its code throw instead of calling process.exit(), or mend what ends it: ${ITS_OUTPUT} says more.`;

/** The folder of logs of an instance that ends with its owner goes with it. */
const ITS_OUTPUT = "what it printed (to the terminal of `maitred run`, else to its log)";

const wordsOf = ({ code, signal }: Exit): string => {
  if (signal !== undefined) return `killed by ${signal}`;
  return code === undefined ? "nobody saw how" : `exit status ${code}`;
};

export const replicaConfigOf = (view: ActorView) => {
  const spec = assignmentOf(view)?.spec;
  return spec?.kind === "replica" ? spec.config : undefined;
};

const body = (code: string, message: string): ErrorBody => ({ code, message });
