/**
 * Random faults. A seed draws which kinds a run has and how often each strikes (a swarm: runs with few kinds find what runs with all of
 * them hide), then when and whom. `end` ends what still goes on: stopped processes go on, the weather is fair.
 */

import type { SeededRandom } from "../kernel/seeded-random.ts";
import type { ProcessKind, SimProcess } from "../kernel/sim-process.ts";
import { FAIR } from "../kernel/weather.ts";
import type { World } from "../world.ts";

type Strike = (world: World, random: SeededRandom) => void;

const killOne =
  (kind: ProcessKind): Strike =>
  (world, random) =>
    random.pick(ofKind(world, kind))?.end({ code: undefined, signal: "SIGKILL" });

const stopOne =
  (kind: ProcessKind, mostMs: number): Strike =>
  (world, random) => {
    const process = random.pick(ofKind(world, kind));
    process?.stop();
    world.scheduler.after(random.between(50, mostMs), () => process?.goOn());
  };

/** Some recover by themselves. */
const sickenOne: Strike = (world, random) => {
  const process = random.pick(ofKind(world, "replica"));
  process?.onHealth?.("unhealthy");
  if (random.chance(0.5)) world.scheduler.after(random.between(10, 10_000), () => process?.onHealth?.("healthy"));
};

const outage: Strike = (world, random) => {
  const process = random.pick(ofKind(world, "replica"));
  const backend = process === undefined ? undefined : world.backendOf(process);
  if (backend === undefined) return;
  world.beginOutage(backend, random.between(500, 20_000));
  if (random.chance(0.7)) process?.end({ code: undefined, signal: "SIGKILL" });
};

const badWeather: Strike = (world, random) => {
  world.weather.become({
    storeMs: random.pick([1, 5, 50])!,
    netMs: random.pick([1, 10, 200])!,
    busy: random.chance(0.5) ? random.between(0, 0.3) : 0,
    busyMs: random.pick([30, 300, 3_000])!,
    loseRequest: random.chance(0.4) ? random.between(0, 0.1) : 0,
    loseAnswer: random.chance(0.5) ? random.between(0, 0.15) : 0,
    isStoreDown: random.chance(0.15),
    breakCall: random.chance(0.5) ? random.between(0, 0.3) : 0,
  });
  world.scheduler.after(random.between(500, 15_000), () => world.weather.become(FAIR));
};

/** Kind → what it does and its mean interval in virtual milliseconds when the swarm has it. */
const KINDS: Readonly<Record<string, { readonly strike: Strike; readonly everyMs: number }>> = {
  "kill controller": { strike: killOne("controller"), everyMs: 15_000 },
  "kill agent": { strike: killOne("agent"), everyMs: 20_000 },
  "kill replica": { strike: killOne("replica"), everyMs: 10_000 },
  "kill proxy": { strike: killOne("proxy"), everyMs: 15_000 },
  "stop controller": { strike: stopOne("controller", 9_000), everyMs: 20_000 },
  "stop agent": { strike: stopOne("agent", 9_000), everyMs: 25_000 },
  "stop proxy": { strike: stopOne("proxy", 20_000), everyMs: 20_000 },
  "stop replica": { strike: stopOne("replica", 20_000), everyMs: 25_000 },
  "sick replica": { strike: sickenOne, everyMs: 8_000 },
  outage: { strike: outage, everyMs: 20_000 },
  "kill all": {
    strike: (world, random) => {
      for (const process of world.processes())
        if (random.chance(0.7)) process.end({ code: undefined, signal: "SIGKILL" });
    },
    everyMs: 60_000,
  },
  "power cut": { strike: (world, random) => world.powerCut(random.pick(world.nodes)!), everyMs: 60_000 },
  load: {
    strike: (world, random) => world.mishaps.setLoad(random.pick(["a", "b", "c", "d"])!, random.below(20)),
    everyMs: 5_000,
  },
  "lost node": {
    strike: (world, random) => {
      const node = random.pick(world.nodes)!;
      world.powerOff(node);
      world.scheduler.after(random.between(10_000, 80_000), () => world.powerOn(node));
    },
    everyMs: 60_000,
  },
  "cut off node": {
    strike: (world, random) => {
      const node = random.pick(world.nodes)!;
      if (!world.isCluster) return;
      world.note(node.name, "is cut off");
      world.mishaps.cutOff(node.name);
      world.scheduler.after(random.between(500, 60_000), () => world.mishaps.reconnect(node.name));
    },
    everyMs: 40_000,
  },
  "cut links": {
    strike: (world, random) => random.pick(world.nodes)!.switchboard.cut(() => random.chance(0.5)),
    everyMs: 12_000,
  },
  "bad weather": { strike: badWeather, everyMs: 20_000 },
  compaction: { strike: (world) => world.store.compact(1), everyMs: 15_000 },
};

/** Share of the kinds that a run has. */
const KIND_SHARE = 0.5;

export class FaultSwarm {
  readonly kinds: readonly string[];
  readonly #world: World;
  readonly #random: SeededRandom;
  #isOver = false;

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random.fork("faults");
    this.kinds = Object.keys(KINDS).filter(() => this.#random.chance(KIND_SHARE));
  }

  begin(): void {
    for (const kind of this.kinds) this.#strikeLater(kind);
  }

  end(): void {
    this.#isOver = true;
    this.#world.weather.become(FAIR);
    this.#world.endMishaps();
    for (const process of this.#world.processes()) {
      process.goOn();
      process.onHealth?.("healthy");
    }
  }

  #strikeLater(kind: string): void {
    const { strike, everyMs } = KINDS[kind]!;
    // Exponential, so that two faults often come close together.
    const inMs = -Math.log(1 - this.#random.number()) * everyMs;
    this.#world.scheduler.after(inMs, () => {
      if (this.#isOver) return;
      this.#world.note("fault", kind);
      strike(this.#world, this.#random);
      this.#strikeLater(kind);
    });
  }
}

const ofKind = (world: World, kind: ProcessKind): readonly SimProcess[] =>
  world.processes().filter((process) => process.facts.kind === kind);
