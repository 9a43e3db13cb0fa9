/**
 * The end of some runs: somebody shuts the instance down, under faults and among other calls. When the faults are over nothing of it may
 * be left.
 */
import type { Facts } from "../checkers/facts.ts";
import type { World } from "../world.ts";
import type { Clients } from "./clients.ts";

/** Share of the runs. */
const SHARE = 0.5;
const LOOK_MS = 1_000;

export class Shutdown {
  readonly #world: World;
  readonly #facts: Facts;
  readonly #clients: Clients;

  constructor(world: World, facts: Facts, clients: Clients) {
    this.#world = world;
    this.#facts = facts;
    this.#clients = clients;
  }

  /** Of an instance with one node: what a shutdown leaves for nodes that are away is not decided. */
  isDrawn(): boolean {
    const { violation, nodes, random } = this.#world;
    return violation === undefined && nodes.length === 1 && random.fork("shutdown").chance(SHARE);
  }

  begin(): void {
    void this.#clients.send({ kind: "shutdown" }, "never");
  }

  /** Where no agent has come to the end of it, and none is left, somebody starts one. */
  async end(withinMs: number): Promise<void> {
    const world = this.#world;
    const deadline = world.scheduler.now() + withinMs;
    while (world.violation === undefined && !this.#isOver()) {
      if (world.scheduler.now() >= deadline) {
        const living = world.processes().map(({ facts }) => facts.name);
        const phase = this.#facts.instance()?.phase ?? "erased";
        world.violate(
          "shutdown",
          `${withinMs} ms after the faults it is ${phase}, and these live: ${living.join(", ")}`,
        );
      }
      for (const node of world.nodes) if (!world.hasEnded(node)) world.askToStart(node);
      await world.run(LOOK_MS);
    }
  }

  #isOver(): boolean {
    return this.#facts.instance() === undefined && this.#world.processes().length === 0;
  }
}
