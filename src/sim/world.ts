/**
 * A simulated world from one seed: virtual time, a store, nodes with processes, the network between them. Runs the real agents and
 * controllers, and routers in proxies and replicas. Whoever watches it (checkers) subscribes to what happens; a violation stops it.
 */
import type { AgentEnd } from "../agent/agent.ts";
import type { Call, Goal } from "../model/calls.ts";
import type { InstanceName, NodeName } from "../model/ids.ts";
import { keysOf } from "../model/keys.ts";
import { ACTOR_FILE_VARIABLE, type AgentLaunch } from "../model/launch.ts";
import type { PollAnswer, PollRequest } from "../model/longpoll.ts";
import { type ActorFile, stateFiles } from "../model/places.ts";
import type { HttpConfig } from "../model/records.ts";
import type { Log } from "../ports/log.ts";
import type { KeyValue } from "../ports/store.ts";
import { runAgent } from "./actors/agent-program.ts";
import { runController, traceLog } from "./actors/controller-program.ts";
import { runProxy } from "./actors/proxy-program.ts";
import { runReplica } from "./actors/replica-program.ts";
import type { RouterSeat } from "./actors/router-seat.ts";
import type { Effects } from "./kernel/effects.ts";
import { Mishaps } from "./kernel/mishaps.ts";
import { Scheduler } from "./kernel/scheduler.ts";
import { SeededRandom } from "./kernel/seeded-random.ts";
import type { SimProcess } from "./kernel/sim-process.ts";
import { Trace } from "./kernel/trace.ts";
import { Weather } from "./kernel/weather.ts";
import { SimNode } from "./node/sim-node.ts";
import type { ControllerSeat, Network } from "./node/sim-poll.ts";
import { type Commit, keyOf, recordOf, SimStore } from "./store/sim-store.ts";
import { SimStoreClient, type StoreNetwork } from "./store/store-client.ts";

const INSTANCE = "sim" as InstanceName;

export interface WorldOptions {
  readonly seed: string;
  /** Over: two proxies on every node. */
  readonly http?: Partial<HttpConfig> | undefined;
  /** 1: the embedded store's world. More: a cluster, any of whose nodes may lead. */
  readonly nodes: number;
  readonly effects: Effects;
  /** Hears every line of the trace. */
  readonly onLine?: ((line: string) => void) | undefined;
}

export interface WorldEvents {
  readonly commit: Commit;
  readonly spawned: { readonly node: SimNode; readonly process: SimProcess };
  readonly signalled: {
    readonly node: SimNode;
    readonly process: SimProcess;
    readonly signal: "SIGTERM" | "SIGKILL";
  };
  readonly polled: {
    readonly seat: RouterSeat;
    readonly to: ControllerSeat;
    readonly request: PollRequest;
    readonly answer: PollAnswer;
  };
  readonly applied: { readonly seat: RouterSeat };
  /** A client has the answer to its call. */
  readonly acknowledged: { readonly call: Call; readonly goal: Goal };
}

export interface Violation {
  readonly checker: string;
  readonly message: string;
  readonly atMs: number;
  readonly events: readonly string[];
}

/** From the death of an agent to the next one: what a rescuer needs. */
const RESCUE_MS = { from: 300, to: 1_200 };
/** From power back to an agent. */
const REBOOT_MS = { from: 2_000, to: 9_000 };

export class World {
  readonly keys = keysOf(INSTANCE);
  readonly scheduler = new Scheduler(1_000);
  readonly trace: Trace;
  readonly random: SeededRandom;
  readonly weather: Weather;
  readonly effects: Effects;
  readonly store: SimStore;
  readonly nodes: readonly SimNode[];
  readonly routers = new Set<RouterSeat>();
  readonly network: Network;
  readonly mishaps = new Mishaps();
  readonly #http: HttpConfig;
  readonly #seats = new Map<string, ControllerSeat>();
  readonly #listeners = new Map<keyof WorldEvents, ((event: never) => void)[]>();
  /** Nodes whose instance has ended: nobody rescues their agent. */
  readonly #ended = new Map<NodeName, AgentEnd>();
  #violation: Violation | undefined;

  constructor({ seed, nodes, effects, onLine, http }: WorldOptions) {
    this.#http = { host: "127.0.0.1", port: 8000, location: "every", proxiesPerNode: 2, ...http };
    this.trace = new Trace(onLine);
    this.random = new SeededRandom(seed);
    this.weather = new Weather(this.random.fork("weather"));
    this.effects = effects;
    this.store = new SimStore(this.scheduler);
    this.network = {
      scheduler: this.scheduler,
      weather: this.weather,
      seatAt: (address) => this.#seats.get(address),
      separates: (a, b) => this.mishaps.separates(a, b),
    };
    this.nodes = Array.from({ length: nodes }, (_, index) => this.#makeNode(`n${index + 1}` as NodeName));
    this.store.onCommit((commit) => {
      this.trace.note(commit.at, commit.writer ?? "lease", `commits ${commit.changes.map(describe).join(" ")}`);
      this.emit("commit", commit);
    });
  }

  get isCluster(): boolean {
    return this.nodes.length > 1;
  }

  get violation(): Violation | undefined {
    return this.#violation;
  }

  on<K extends keyof WorldEvents>(kind: K, listener: (event: WorldEvents[K]) => void): void {
    const listeners = this.#listeners.get(kind);
    if (listeners === undefined) this.#listeners.set(kind, [listener]);
    else listeners.push(listener);
  }

  emit<K extends keyof WorldEvents>(kind: K, event: WorldEvents[K]): void {
    for (const listener of this.#listeners.get(kind) ?? []) (listener as (event: WorldEvents[K]) => void)(event);
  }

  /** The first one counts; the world stops after the present event. */
  violate(checker: string, message: string): void {
    const atMs = this.scheduler.now();
    this.#violation ??= { checker, message, atMs, events: this.trace.last() };
  }

  note(who: string, what: string): void {
    this.trace.note(this.scheduler.now(), who, what);
  }

  /** Runs for so long, or until there is a violation, or until the condition holds. */
  async run(forMs: number, until: () => boolean = () => false): Promise<void> {
    await this.scheduler.runTo(this.scheduler.now() + forMs, () => this.#violation !== undefined || until());
  }

  /** Somebody starts the instance on its first node; the others join what is there then. */
  start(): void {
    const [first, ...others] = this.nodes;
    if (first !== undefined) this.startAgent(first, "asked");
    let hasJoined = false;
    this.on("commit", () => {
      if (hasJoined || this.store.get(this.keys.instance) === undefined) return;
      hasJoined = true;
      for (const node of others) this.startAgent(node, "asked");
    });
  }

  /** Somebody starts the instance there; without power its agent comes with the power. */
  askToStart(node: SimNode): void {
    if (this.mishaps.hasPower(node.name)) this.startAgent(node, "asked");
    else this.#ended.delete(node.name);
  }

  startAgent(node: SimNode, why: "asked" | "rescue"): void {
    if (why === "asked") this.#ended.delete(node.name);
    if (this.#ended.has(node.name) || node.ofKind("agent").length > 0) return;
    const process = node.begin("agent");
    process.onDeath(() => this.#rescue(node));
    const saved = node.disk.read<{ readonly launch: AgentLaunch }>(stateFiles(node.stateDir).launch)?.launch;
    const asked: AgentLaunch = {
      instance: INSTANCE,
      node: node.name,
      stateDir: node.stateDir,
      runDir: node.runDir,
      http: this.#http,
      owners: [],
      output: "files",
      resume: true,
      execArgv: [],
    };
    const launch = why === "asked" || saved === undefined ? asked : saved;
    this.scheduler.after(this.#bootDelayMs(), () => process.deliver(() => runAgent(this, node, process, launch)));
  }

  /** The backend whose replica a process is. */
  backendOf(process: SimProcess): string | undefined {
    const path = process.facts.env[ACTOR_FILE_VARIABLE];
    const node = this.nodes.find((it) => it.processes.includes(process));
    const spec = path === undefined ? undefined : node?.disk.read<ActorFile>(path)?.assignment.spec;
    return spec?.kind === "replica" ? spec.backend : undefined;
  }

  hasOutage(backend: string): boolean {
    return this.mishaps.hasOutage(backend, this.scheduler.now());
  }

  beginOutage(backend: string, forMs: number): void {
    this.note("world", `outage of ${backend} for ${forMs.toFixed(0)} ms`);
    this.mishaps.beginOutage(backend, this.scheduler.now() + forMs);
  }

  powerCut(node: SimNode): void {
    node.powerCut();
  }

  /** Without power until `powerOn`. */
  powerOff(node: SimNode): void {
    this.mishaps.powerOff(node.name);
    node.powerCut();
  }

  powerOn(node: SimNode): void {
    if (this.mishaps.powerOn(node.name)) this.#rescue(node);
  }

  /** Faults are over: what was off goes on again. */
  endMishaps(): void {
    for (const name of this.mishaps.end()) this.#rescue(this.nodes.find((node) => node.name === name)!);
  }

  agentEnded(node: SimNode, end: AgentEnd): void {
    this.note(node.name, `its agent says ${end.kind}`);
    if (end.kind === "ended") this.#ended.set(node.name, end);
  }

  hasEnded(node: SimNode): boolean {
    return this.#ended.has(node.name);
  }

  /** From now on this controller answers there. */
  seat(address: string, seat: ControllerSeat): void {
    this.#seats.set(address, seat);
    seat.process.onDeath(() => {
      if (this.#seats.get(address) === seat) this.#seats.delete(address);
    });
  }

  seats(): readonly ControllerSeat[] {
    return [...this.#seats.values()];
  }

  processes(): readonly SimProcess[] {
    return this.nodes.flatMap((node) => node.processes);
  }

  storeFor(process: SimProcess): SimStoreClient {
    const { store, scheduler, weather, effects, mishaps } = this;
    const network: StoreNetwork = {
      fate: () => (mishaps.isCutOff(process) ? weather.lostRequest() : weather.fate()),
      watchDelayMs: () => weather.watchDelayMs(),
      isCutOff: () => mishaps.isCutOff(process),
    };
    return new SimStoreClient({ store, scheduler, network, effects, process });
  }

  logOf(process: SimProcess): Log {
    return traceLog((line) => this.note(process.facts.name, line));
  }

  #rescue(node: SimNode): void {
    const isPowered = node.processes.length > 0;
    const { from, to } = isPowered ? RESCUE_MS : REBOOT_MS;
    this.scheduler.after(this.random.between(from, to), () => {
      if (this.mishaps.hasPower(node.name)) this.startAgent(node, "rescue");
    });
  }

  #bootDelayMs(): number {
    return this.random.between(20, 150);
  }

  #makeNode(name: NodeName): SimNode {
    return new SimNode(
      {
        scheduler: this.scheduler,
        trace: this.trace,
        effects: this.effects,
        netDelayMs: () => this.weather.netDelayMs(),
        bootDelayMs: () => this.#bootDelayMs(),
        run: (node, process, args) => this.#runProgram(node, process, args),
        onSpawn: (node, process) => this.emit("spawned", { node, process }),
        onSignal: (node, process, signal) => this.emit("signalled", { node, process, signal }),
      },
      name,
    );
  }

  #runProgram(node: SimNode, process: SimProcess, args: readonly string[]): void {
    if (process.facts.kind === "controller") runController(this, node, process, args);
    else if (process.facts.kind === "proxy") runProxy(this, node, process, args);
    else runReplica(this, node, process, args);
  }
}

const describe = (change: Commit["changes"][number]): string => {
  const key = keyOf(change).replace(`/${INSTANCE}/`, "");
  if (change.kind === "delete") return `-${key}`;
  return `+${key}${brief(key, change.entry)}`;
};

/** What of a value tells most in a trace. */
const brief = (key: string, entry: KeyValue): string => {
  const record = recordOf<Record<string, unknown>>(entry);
  if (key.startsWith("goals/")) return `=${String(record["state"])}`;
  if (key.startsWith("assign/")) return `=${String((record["intent"] as { kind?: string } | undefined)?.kind)}`;
  if (key.startsWith("status/")) return `=${String(record["state"])}`;
  return "";
};
