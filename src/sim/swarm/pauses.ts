/**
 * Somebody stops the instance now and then, and starts it again after a while, whatever goes on: often before it has stopped. Who starts it
 * tries until the stop was answered and the instance runs: a call that is still on its way could stop it again.
 */
import type { Facts } from "../checkers/facts.ts";
import type { SeededRandom } from "../kernel/seeded-random.ts";
import type { World } from "../world.ts";
import type { Clients } from "./clients.ts";

/** Mean time from the beginning of a phase, or from one start, to the next stop. */
const EVERY_MS = 60_000;
/** Share of the phases that have stops. */
const PHASE_SHARE = 0.4;
/** Share of the times of rest. */
const REST_SHARE = 0.25;
const LASTS_MS = { from: 100, to: 20_000 };
const ASK_AGAIN_MS = 500;

export class Pauses {
  readonly #world: World;
  readonly #facts: Facts;
  readonly #clients: Clients;
  readonly #random: SeededRandom;
  #isUnderWay = false;

  constructor(world: World, facts: Facts, clients: Clients) {
    this.#world = world;
    this.#facts = facts;
    this.#clients = clients;
    this.#random = world.random.fork("pauses");
  }

  /** Somebody has stopped the instance and will start it. */
  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** Begins to draw; the answer ends that. */
  begin(): () => void {
    let isOver = !this.#random.chance(PHASE_SHARE);
    const pauseLater = () => {
      this.#world.scheduler.after(-Math.log(1 - this.#random.number()) * EVERY_MS, () => {
        if (isOver) return;
        if (!this.#isUnderWay) this.#pause(this.#random.between(LASTS_MS.from, LASTS_MS.to));
        pauseLater();
      });
    };
    pauseLater();
    return () => {
      isOver = true;
    };
  }

  /** At rest it is stopped now and then too: then it ends whole, and nothing lives. Starts it again; answers whether it did anything. */
  async stopAndStart(withinMs: number): Promise<boolean> {
    if (this.#world.violation !== undefined || !this.#random.chance(REST_SHARE)) return false;
    void this.#clients.send({ kind: "stop" }, "never");
    await this.#world.run(withinMs, () => this.#world.processes().length === 0);
    const living = this.#world.processes().map(({ facts }) => facts.name);
    const phase = this.#facts.instance()?.phase;
    if (living.length > 0 || phase !== "stopped" || this.#facts.assignments().length > 0) {
      this.#world.violate(
        "at-rest",
        `${withinMs} ms after a stop it is ${phase}, and these live: ${living.join(", ")}`,
      );
    }
    for (const node of this.#world.nodes) this.#world.askToStart(node);
    return true;
  }

  #pause(forMs: number): void {
    let isAnswered = false;
    this.#isUnderWay = true;
    void this.#clients.send({ kind: "stop" }).then(() => {
      isAnswered = true;
    });
    const start = () => {
      const missing = this.#world.nodes.filter((node) => node.ofKind("agent").length === 0);
      if (isAnswered && this.#facts.instance()?.phase === "running" && missing.length === 0) {
        this.#isUnderWay = false;
        return;
      }
      for (const node of missing) this.#world.askToStart(node);
      this.#world.scheduler.after(ASK_AGAIN_MS, start);
    };
    this.#world.scheduler.after(forMs, start);
  }
}
