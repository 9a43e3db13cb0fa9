/**
 * The controller crashes after each of its saves in turn, before it has said a word about it; its client sends the call again, with the
 * same goal id, to the controller that comes next. Whatever the point: the same is saved in the end, and nothing was started twice.
 */
import { afterEach, describe, expect, test } from "vitest";
import {
  createBackend,
  createEndpoint,
  deleteBackend,
  deleteEndpoint,
  restart,
  setTraffic,
  shadowTraffic,
  shutdown,
  stop,
  update,
} from "../../tests/harness/calls.ts";
import { ControllerLab } from "../../tests/harness/controller-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import { isServeError } from "../base/serve-error.ts";
import type { Call, Goal } from "../model/calls.ts";
import type { GoalId } from "../model/ids.ts";
import type { Controller } from "./controller.ts";

const DEADLINE_MS = 15_000;
const never = new AbortController().signal;

type Step = Call extends infer C ? (C extends Call ? Omit<C, "goalId"> : never) : never;

const CHANGES: readonly Step[] = [
  createBackend("a", { numReplicas: 2 }),
  createBackend("b"),
  createEndpoint("e", { a: 1 }, { spec: { route: "/e" } }),
  update("a", { userConfig: { threshold: 1 } }),
  update("a", { numReplicas: 3 }),
  setTraffic("e", { a: 0.5, b: 0.5 }),
  shadowTraffic("e", "b", 0.2),
  restart("b"),
  update("a", { env: { MODEL: "2" } }),
  update("a", { numReplicas: 1 }),
  setTraffic("e", { b: 1 }),
  deleteBackend("a"),
  deleteEndpoint("e"),
];

let lab: ControllerLab | undefined;
afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

/** A client and whatever controller leads: calls are sent until one is answered. */
class Play {
  readonly #lab: ControllerLab;
  readonly #crashAt: number;
  saves = 0;
  #current: Controller | undefined;
  #next: Promise<void> = Promise.resolve();

  constructor(of: ControllerLab, crashAt: number) {
    this.#lab = of;
    this.#crashAt = crashAt;
  }

  begin(): void {
    const { controller } = this.#lab.startController({
      phase: this.#current === undefined ? "resume" : "keep",
      isFirstLife: this.#current === undefined,
      afterSave: () => {
        this.saves += 1;
        if (this.saves !== this.#crashAt) return;
        this.#next = controller.stop().then(() => this.begin());
        throw new Error("crashed here");
      },
    });
    this.#current = controller;
  }

  /** Sends the call until its goal is settled, as clients do. */
  async make(step: Step, goalId: GoalId): Promise<Goal> {
    return waitFor(`${step.kind} is settled`, () => this.#attempt(step, goalId), DEADLINE_MS);
  }

  async #attempt(step: Step, goalId: GoalId): Promise<Goal | undefined> {
    try {
      const controller = this.#current!;
      await controller.submit({ ...step, goalId } as Call);
      const goal = await controller.waitForGoal(goalId, DEADLINE_MS, never);
      return goal.state === "pending" ? undefined : goal;
    } catch (error) {
      if (!isServeError(error) || !error.retryable) throw error;
      return undefined;
    }
  }

  async rest(): Promise<void> {
    await this.#next;
  }
}

/** What must not depend on crashes: no timestamps, no processes, no leadership. */
const comparable = (saved: ReadonlyMap<string, unknown>): unknown =>
  [...saved]
    .filter(([key]) => !/^(leader|nodes|status)/.test(key))
    .map(([key, value]) => [key, JSON.parse(JSON.stringify(value, (name, it) => (/At$/.test(name) ? undefined : it)))])
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));

const run = async (steps: readonly Step[], crashAt: number) => {
  const here = new ControllerLab({ speed: 10 });
  lab = here;
  const agent = await here.startAgent();
  const play = new Play(here, crashAt);
  play.begin();
  const states: string[] = [];
  for (const [index, step] of steps.entries()) {
    const goal = await play.make(step, `step-${index}` as GoalId);
    states.push(`${step.kind} ${goal.state}`);
  }
  await play.rest();
  const saved = comparable(await here.saved());
  const starts = [...agent.starts].sort();
  await here.close();
  lab = undefined;
  return { states, saved, starts, saves: play.saves };
};

describe("a crash after any save", () => {
  test("of changes to backends and endpoints leaves what no crash leaves", { timeout: 180_000 }, async () => {
    const wanted = await run(CHANGES, Number.POSITIVE_INFINITY);
    expect(wanted.states.every((state) => state.endsWith("reached"))).toBe(true);
    // Turns may divide the same work otherwise from run to run: points beyond the last save crash nothing.
    for (let crashAt = 1; crashAt <= wanted.saves; crashAt += 1) {
      const found = await run(CHANGES, crashAt);
      expect({ crashAt, ...found, saves: 0 }).toEqual({ crashAt, ...wanted, saves: 0 });
    }
  });

  test("of a stop and a shutdown still ends everything", { timeout: 60_000 }, async () => {
    const steps = [createBackend("a", { numReplicas: 2 }), stop(), shutdown()];
    const wanted = await run(steps, Number.POSITIVE_INFINITY);
    expect(wanted).toMatchObject({
      states: ["createBackend reached", "stop reached", "shutdown reached"],
      saved: [],
      starts: [
        ["a#1", 1],
        ["a#2", 1],
      ],
    });
    // The first save makes the instance; only a start that is asked for may do that again.
    for (let crashAt = 2; crashAt <= wanted.saves; crashAt += 1) {
      expect({ crashAt, ...(await run(steps, crashAt)), saves: 0 }).toEqual({ crashAt, ...wanted, saves: 0 });
    }
  });
});
