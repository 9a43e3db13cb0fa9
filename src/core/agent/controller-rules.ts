/**
 * How an agent keeps its controller alive. Pure: (view, event) → view, and at each tick what to do.
 * Silence is counted in ticks, not in time: an agent that was stopped itself has seen one tick, however long it slept.
 */
import {
  CONTROLLER_BACKOFF_LED_MAX_MS,
  CONTROLLER_BACKOFF_MAX_MS,
  CONTROLLER_BACKOFF_MIN_MS,
  CONTROLLER_PING_INTERVAL_MS,
  CONTROLLER_PING_TIMEOUT_MS,
  CONTROLLER_START_TIMEOUT_MS,
  RESTART_BACKOFF_RESET_MS,
} from "../../model/limits.ts";
import type { ProcessIdentity } from "../../model/places.ts";
import type { Instant } from "./actor-view.ts";

export type ControllerLife =
  | { readonly kind: "down"; readonly notBefore: Instant }
  | {
      readonly kind: "up";
      readonly process: ProcessIdentity;
      readonly since: Instant;
      /** It has said hello in this life of the agent, or is known to have done so in an earlier one. */
      readonly hasGreeted: boolean;
      readonly isLinked: boolean;
      readonly hasLed: boolean;
      /** Ticks since it last answered. */
      readonly silentTicks: number;
      readonly isKilled: boolean;
    };

export interface ControllerView {
  readonly incarnation: number;
  readonly life: ControllerLife;
  /** Deaths in a row, each soon after its start: of controllers that had led, and since then of ones that never did. */
  readonly deaths: number;
  readonly fruitlessStarts: number;
}

export type ControllerAction = "none" | "start" | "ping" | "kill";

/** The last answer came just after a tick, so one tick of the time is over when the first one passes in silence. */
const SILENT_TICKS = Math.ceil(CONTROLLER_PING_TIMEOUT_MS / CONTROLLER_PING_INTERVAL_MS) - 1;
const START_TICKS = Math.ceil(CONTROLLER_START_TIMEOUT_MS / CONTROLLER_PING_INTERVAL_MS);

export const noController = (incarnation: number): ControllerView => ({
  incarnation,
  life: { kind: "down", notBefore: Number.NEGATIVE_INFINITY },
  deaths: 0,
  fruitlessStarts: 0,
});

/** `adopted`: it ran before this agent, so it knows the way and must say hello soon. */
export const runningController = (
  view: ControllerView,
  from: { readonly incarnation: number; readonly process: ProcessIdentity; readonly origin: "started" | "adopted" },
  now: Instant,
): ControllerView => ({
  ...view,
  incarnation: from.incarnation,
  life: {
    kind: "up",
    process: from.process,
    since: now,
    hasGreeted: from.origin === "adopted",
    isLinked: false,
    hasLed: from.origin === "adopted",
    silentTicks: 0,
    isKilled: false,
  },
});

type Up = Extract<ControllerLife, { kind: "up" }>;
const changeUp = (view: ControllerView, change: Partial<Omit<Up, "kind">>): ControllerView =>
  view.life.kind === "up" ? { ...view, life: { ...view.life, ...change } } : view;

export const controllerLinked = (view: ControllerView): ControllerView =>
  changeUp(view, { isLinked: true, hasGreeted: true, silentTicks: 0 });
export const controllerUnlinked = (view: ControllerView): ControllerView => changeUp(view, { isLinked: false });
export const controllerAnswered = (view: ControllerView): ControllerView => changeUp(view, { silentTicks: 0 });
export const controllerLed = (view: ControllerView): ControllerView => changeUp(view, { hasLed: true });

export const controllerDied = (view: ControllerView, now: Instant): ControllerView => {
  if (view.life.kind !== "up") return view;
  if (!view.life.hasLed) return fruitless(view, view.fruitlessStarts, now);
  const deaths = now - view.life.since >= RESTART_BACKOFF_RESET_MS ? 0 : view.deaths;
  const pause = pauseAfter(deaths, CONTROLLER_BACKOFF_LED_MAX_MS);
  return { ...view, deaths: deaths + 1, fruitlessStarts: 0, life: { kind: "down", notBefore: now + pause } };
};

/** A start that made no process. */
export const controllerNotStarted = (view: ControllerView, now: Instant): ControllerView =>
  fruitless(view, view.fruitlessStarts + 1, now);

const fruitless = (view: ControllerView, before: number, now: Instant): ControllerView => {
  const pause = pauseAfter(before, CONTROLLER_BACKOFF_MAX_MS);
  return { ...view, fruitlessStarts: view.fruitlessStarts + 1, life: { kind: "down", notBefore: now + pause } };
};

/** The first death costs nothing: `pauseAfter(0, …)` is 0, then 50, 100, 200 … ms. */
const pauseAfter = (before: number, longestMs: number): number =>
  before === 0 ? 0 : Math.min(CONTROLLER_BACKOFF_MIN_MS * 2 ** (before - 1), longestMs);

/** Called every CONTROLLER_PING_INTERVAL_MS, and when `notBefore` has come. */
export const controllerTick = (
  view: ControllerView,
  now: Instant,
): { readonly view: ControllerView; readonly action: ControllerAction } => {
  const { life } = view;
  if (life.kind === "down") return { view, action: now >= life.notBefore ? "start" : "none" };
  if (life.isKilled) return { view, action: "none" };
  const limit = life.hasGreeted ? SILENT_TICKS : START_TICKS;
  if (life.silentTicks >= limit) return { view: changeUp(view, { isKilled: true }), action: "kill" };
  return { view: changeUp(view, { silentTicks: life.silentTicks + 1 }), action: life.isLinked ? "ping" : "none" };
};
