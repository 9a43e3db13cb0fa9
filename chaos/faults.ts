/**
 * What is done to a living instance while it serves: processes are killed and paused, versions roll, traffic moves, replicas come and go.
 * Each fault is over, but for its healing, when its promise resolves. Drawn from a seed; what the machine makes of it is not.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Client, ProcessStatus } from "../src/index.ts";
import type { SeededRandom } from "../src/sim/kernel/seeded-random.ts";
import { isAlive, kill } from "../tests/harness/processes.ts";
import type { Kill } from "./ledger.ts";

type Kind = ProcessStatus["kind"];

export interface Victims {
  readonly client: Client;
  readonly random: SeededRandom;
  readonly kills: Kill[];
  readonly say: (event: string) => void;
}

export interface Fault {
  readonly name: string;
  /** Of all weights, how often it is drawn. */
  readonly weight: number;
  readonly strike: (victims: Victims) => Promise<void>;
}

const PAUSE_MS = [500, 7_000] as const;
const CALL_MS = 60_000;
/** How exactly the moment of a death is known. */
const LOOK_MS = 2;
/** What was killed is gone within milliseconds; a machine under load takes longer. */
const DEATH_MS = 10_000;

export const FAULTS: readonly Fault[] = [
  { name: "kill a replica", weight: 5, strike: (it) => killOne(it, ["replica"]) },
  { name: "kill a proxy", weight: 3, strike: (it) => killOne(it, ["proxy"]) },
  { name: "kill the controller", weight: 3, strike: (it) => killOne(it, ["controller"]) },
  { name: "kill the agent", weight: 3, strike: (it) => killOne(it, ["agent"]) },
  {
    name: "kill controller, agent and a proxy",
    weight: 1,
    strike: (it) => killAllButOneProxy(it),
  },
  { name: "pause a replica", weight: 2, strike: (it) => pauseOne(it, "replica") },
  { name: "pause a proxy", weight: 1, strike: (it) => pauseOne(it, "proxy") },
  { name: "pause the controller", weight: 2, strike: (it) => pauseOne(it, "controller") },
  { name: "pause the agent", weight: 1, strike: (it) => pauseOne(it, "agent") },
  { name: "ask a proxy to go", weight: 2, strike: (it) => askOne(it, "proxy") },
  { name: "ask a replica to go", weight: 1, strike: (it) => askOne(it, "replica") },
  {
    name: "roll to another version",
    weight: 3,
    strike: ({ client, random }) => {
      const env = { ...ENV, VERSION: random.id() };
      return change(client.updateBackendConfig("work:v1", { env }, { timeoutMs: CALL_MS }));
    },
  },
  {
    name: "restart a backend",
    weight: 2,
    strike: ({ client }) => change(client.restartBackend("relay:v1", { timeoutMs: CALL_MS })),
  },
  {
    name: "scale",
    weight: 3,
    strike: ({ client, random }) =>
      change(client.updateBackendConfig("work:v1", { numReplicas: 1 + random.below(4) }, { timeoutMs: CALL_MS })),
  },
  {
    name: "move traffic",
    weight: 3,
    strike: ({ client, random }) => {
      const share = random.below(11) / 10;
      return change(client.setTraffic("work", { "work:v1": 1 - share, "work:v2": share }, { timeoutMs: CALL_MS }));
    },
  },
];

/** The environment of the served code; versions change one field of it. */
export const ENV: Record<string, string> = {};

export const drawFault = (random: SeededRandom): Fault => {
  const all = FAULTS.reduce((sum, { weight }) => sum + weight, 0);
  let number = random.between(0, all);
  const found = FAULTS.find(({ weight }) => {
    number -= weight;
    return number < 0;
  });
  return found ?? (FAULTS[0] as Fault);
};

const killOne = async (victims: Victims, kinds: readonly Kind[]): Promise<void> => {
  const { processes } = await victims.client.status();
  const deaths: Promise<void>[] = [];
  for (const kind of kinds) {
    const victim = victims.random.pick(living(processes, kind));
    if (victim?.pid === undefined) continue;
    victims.say(`kill ${victim.name} (${victim.pid})`);
    const at = performance.now();
    kill(victim.pid);
    deaths.push(
      deathOf(victim.pid, DEATH_MS).then((death) => {
        if (death === undefined) throw new Error(`${victim.name} (${victim.pid}) lives ${DEATH_MS} ms after SIGKILL`);
        noteKill(victims, victim, { at, goneAt: death.goneAt });
      }),
    );
  }
  await Promise.all(deaths);
};

/** Somebody must be left who starts an agent: while a proxy comes or goes, the others live. */
const killAllButOneProxy = async (victims: Victims): Promise<void> => {
  const { processes } = await victims.client.status();
  const proxies = processes.filter(({ kind }) => kind === "proxy");
  if (proxies.length < 2 || living(processes, "proxy").length < proxies.length) {
    victims.say("not now: a proxy is missing");
    return;
  }
  await killOne(victims, ["controller", "agent", "proxy"]);
};

/** Whoever is paused for long may be killed by those who watch it: that is a kill like any other. */
const pauseOne = async (victims: Victims, kind: Kind): Promise<void> => {
  const { processes } = await victims.client.status();
  const victim = victims.random.pick(living(processes, kind));
  if (victim?.pid === undefined) return;
  const ms = Math.floor(victims.random.between(...PAUSE_MS));
  victims.say(`SIGSTOP ${victim.name} (${victim.pid}) for ${ms} ms`);
  kill(victim.pid, "SIGSTOP");
  const death = await deathOf(victim.pid, ms);
  if (death === undefined) kill(victim.pid, "SIGCONT");
  else noteKill(victims, victim, death);
};

/** SIGTERM: it finishes what is open, and its agent starts the next one. That may fail nobody, so it is no kill. */
const askOne = async ({ client, random, say }: Victims, kind: Kind): Promise<void> => {
  const victim = random.pick(living((await client.status()).processes, kind));
  if (victim?.pid === undefined) return;
  say(`SIGTERM ${victim.name} (${victim.pid})`);
  kill(victim.pid, "SIGTERM");
};

/** Between which two looks a process died; undefined: it did not within the time. */
const deathOf = async (pid: number, withinMs: number): Promise<Pick<Kill, "at" | "goneAt"> | undefined> => {
  const until = performance.now() + withinMs;
  for (let at = performance.now(); at < until; ) {
    await pause(LOOK_MS);
    const now = performance.now();
    if (!isAlive(pid)) return { at, goneAt: now };
    at = now;
  }
  return undefined;
};

const noteKill = (
  { kills, say }: Victims,
  { name, kind, pid = 0 }: ProcessStatus,
  death: Pick<Kill, "at" | "goneAt">,
): void => {
  say(`${name} (${pid}) is gone after ${(death.goneAt - death.at).toFixed(1)} ms`);
  kills.push({ what: kind, name, pid, ...death });
};

const living = (processes: readonly ProcessStatus[], kind: Kind): readonly ProcessStatus[] =>
  processes.filter((process) => process.kind === kind && process.state === "ready" && isAlive(process.pid ?? 0));

const change = async (goal: Promise<unknown>): Promise<void> => {
  await goal;
};
