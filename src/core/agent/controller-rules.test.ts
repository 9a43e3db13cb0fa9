import { describe, expect, it } from "vitest";
import {
  CONTROLLER_BACKOFF_LED_MAX_MS,
  CONTROLLER_BACKOFF_MAX_MS,
  CONTROLLER_PING_INTERVAL_MS,
  CONTROLLER_PING_TIMEOUT_MS,
  CONTROLLER_START_TIMEOUT_MS,
} from "../../model/limits.ts";
import {
  type ControllerAction,
  type ControllerView,
  controllerAnswered,
  controllerDied,
  controllerLed,
  controllerLinked,
  controllerTick,
  noController,
  runningController,
} from "./controller-rules.ts";

const process = { pid: 7, startTime: "1", bootId: "b" };
const started = (view: ControllerView, now: number) =>
  runningController(view, { incarnation: view.incarnation + 1, process, origin: "started" }, now);

/** Ticks until it does something else than ping or nothing; answers after how long. */
const untilAction = (from: ControllerView): { readonly action: ControllerAction; readonly afterMs: number } => {
  let view = from;
  for (let tick = 0; tick < 100; tick++) {
    const next = controllerTick(view, tick * CONTROLLER_PING_INTERVAL_MS);
    view = next.view;
    if (next.action === "kill" || next.action === "start") {
      return { action: next.action, afterMs: tick * CONTROLLER_PING_INTERVAL_MS };
    }
  }
  throw new Error("nothing happens");
};

describe("a controller", () => {
  it("is started when there is none", () => {
    expect(controllerTick(noController(0), 0).action).toBe("start");
  });

  it("is killed after 4.5 s without an answer, but has longer for its first word", () => {
    const silent = controllerLinked(started(noController(0), 0));
    const { action, afterMs } = untilAction(silent);
    expect(action).toBe("kill");
    expect(afterMs).toBeLessThanOrEqual(CONTROLLER_PING_TIMEOUT_MS);
    expect(afterMs).toBeGreaterThan(CONTROLLER_PING_TIMEOUT_MS - 2 * CONTROLLER_PING_INTERVAL_MS);
    expect(untilAction(started(noController(0), 0)).afterMs).toBe(CONTROLLER_START_TIMEOUT_MS);
  });

  it("that an earlier agent started must speak within the same time as one that has spoken", () => {
    const adopted = runningController(noController(0), { incarnation: 3, process, origin: "adopted" }, 0);
    expect(untilAction(adopted).afterMs).toBeLessThanOrEqual(CONTROLLER_PING_TIMEOUT_MS);
  });

  it("is not killed for the time that the agent itself was stopped", () => {
    let view = controllerLinked(started(noController(0), 0));
    view = controllerTick(view, 0).view;
    const hour = 3_600_000;
    const { view: later, action } = controllerTick(view, hour);
    expect(action).toBe("ping");
    expect(controllerTick(controllerAnswered(later), hour + CONTROLLER_PING_INTERVAL_MS).action).toBe("ping");
  });

  it("is killed once, not at every tick until it is gone", () => {
    let view = controllerLinked(started(noController(0), 0));
    const actions: ControllerAction[] = [];
    for (let tick = 0; tick < 20; tick++) {
      const next = controllerTick(view, tick);
      view = next.view;
      actions.push(next.action);
    }
    expect(actions.filter((action) => action === "kill")).toHaveLength(1);
  });

  it("is started again at once, then after growing pauses, short ones when it leads each time", () => {
    const pausesOf = (leads: "leads" | "never leads"): readonly number[] => {
      const pauses: number[] = [];
      let view = noController(0);
      for (let life = 0; life < 12; life++) {
        view = started(view, 1_000);
        view = controllerDied(leads === "leads" ? controllerLed(view) : view, 1_000);
        if (view.life.kind === "down") pauses.push(view.life.notBefore - 1_000);
      }
      return pauses;
    };
    expect(pausesOf("leads").slice(0, 3)).toEqual([0, 50, 100]);
    expect(pausesOf("leads").at(-1)).toBe(CONTROLLER_BACKOFF_LED_MAX_MS);
    expect(pausesOf("never leads").at(-1)).toBe(CONTROLLER_BACKOFF_MAX_MS);
  });

  it("that is killed during its start, after many that had led, is started again soon", () => {
    let view = noController(0);
    for (let life = 0; life < 12; life++) view = controllerDied(controllerLed(started(view, 1_000)), 1_000);
    view = controllerDied(started(view, 1_000), 1_000);
    expect(view.life).toEqual({ kind: "down", notBefore: 1_000 });
  });
});
