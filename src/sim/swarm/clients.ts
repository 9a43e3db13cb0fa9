/**
 * Clients of a simulated instance: each call gets a goal id drawn here and is sent until it is answered, again with the same id when the
 * answer was lost, and sometimes once more long after it was answered. An unexpected answer is a violation.
 */
import { isServeError } from "../../base/serve-error.ts";
import type { Call, Goal } from "../../model/calls.ts";
import type { GoalId } from "../../model/ids.ts";
import { CONTROL_RETRY_INTERVAL_MS } from "../../model/limits.ts";
import type { SeededRandom } from "../kernel/seeded-random.ts";
import { SimProcess } from "../kernel/sim-process.ts";
import { ask } from "../node/sim-poll.ts";
import type { World } from "../world.ts";

export type CallBody = Call extends infer C ? (C extends Call ? Omit<C, "goalId"> : never) : never;

export type Outcome =
  | { readonly kind: "goal"; readonly goal: Goal }
  | { readonly kind: "refused"; readonly code: string; readonly message: string };

/** A client gives one attempt up after this. */
const ATTEMPT_MS = 3_000;
const LATE_RETRY_MS = { from: 500, to: 120_000 };

export class Clients {
  readonly calls = new Map<string, Call>();
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #process: SimProcess;
  readonly #lateShare: number;
  #ids = 0;
  #open = 0;

  /** @param lateShare share of answered calls that are sent once more, later. */
  constructor(world: World, lateShare: number) {
    this.#world = world;
    this.#random = world.random.fork("clients");
    this.#lateShare = lateShare;
    const identity = { pid: 1, startTime: "0", bootId: "client" };
    this.#process = new SimProcess(world, { kind: "client", name: "client", identity, env: {} });
  }

  /** Calls without an answer. */
  get open(): number {
    return this.#open;
  }

  callOf(goalId: string): Call | undefined {
    return this.calls.get(goalId);
  }

  /** Resolves with the first answer. */
  async send(body: CallBody, repeats: "sometimes" | "never" = "sometimes"): Promise<Outcome> {
    this.#ids += 1;
    const call = { ...body, goalId: `g${this.#ids}` as GoalId } as Call;
    this.calls.set(call.goalId, call);
    this.#world.note("client", `calls ${JSON.stringify(call)}`);
    this.#open += 1;
    const outcome = await this.#untilAnswered(call);
    this.#open -= 1;
    if (repeats === "sometimes" && outcome.kind === "goal" && this.#random.chance(this.#lateShare)) {
      this.#process.clock.after(this.#random.between(LATE_RETRY_MS.from, LATE_RETRY_MS.to), () => {
        void this.#again(call);
      });
    }
    return outcome;
  }

  async #again(call: Call): Promise<void> {
    this.#world.note("client", `calls again ${call.goalId}`);
    this.#open += 1;
    const outcome = await this.#untilAnswered(call);
    this.#open -= 1;
    if (outcome.kind === "refused" && outcome.code !== "instance-stopping") {
      this.#world.violate("clients", `${call.goalId} was accepted, and sent again refused: ${outcome.message}`);
    }
  }

  async #untilAnswered(call: Call): Promise<Outcome> {
    for (;;) {
      const outcome = await this.#attempt(call);
      if (outcome !== undefined) {
        this.#world.note("client", `has the answer to ${call.goalId}: ${describe(outcome)}`);
        return outcome;
      }
      await new Promise<void>((resolve) => void this.#process.clock.after(CONTROL_RETRY_INTERVAL_MS, resolve));
    }
  }

  async #attempt(call: Call): Promise<Outcome | undefined> {
    const timeout = new AbortController();
    const timer = this.#process.clock.after(ATTEMPT_MS, () => timeout.abort());
    try {
      // Any that lives: who does not lead must say so.
      const to = this.#random.pick(this.#world.seats());
      const route = { from: this.#process, to, signal: timeout.signal };
      const goal = await ask(this.#world.network, route, (controller) => controller.submit(call));
      this.#world.emit("acknowledged", { call, goal });
      return { kind: "goal", goal };
    } catch (error) {
      if (!isServeError(error)) throw error;
      if (error.retryable) return undefined;
      const { code, message } = error;
      if (code === "internal") this.#world.violate("clients", `${call.kind} ${call.goalId} was answered: ${message}`);
      return { kind: "refused", code, message };
    } finally {
      timer.cancel();
    }
  }
}

const describe = (outcome: Outcome): string => (outcome.kind === "goal" ? outcome.goal.state : outcome.code);
