/**
 * The real controller process on a copy of a saved state, with a simulated agent beside it that the bench's own process plays, and the
 * real client, long poll and proxy's place in it. Everything runs in folders of the bench.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createHttpControlTransport } from "../../src/adapters/http-control-transport.ts";
import { createHttpPollTransport, type HttpPollTransport } from "../../src/adapters/http-poll-transport.ts";
import { createSystemClock } from "../../src/adapters/system-clock.ts";
import { createSystemRandom } from "../../src/adapters/system-random.ts";
import { assert } from "../../src/base/assert.ts";
import { ServeClient } from "../../src/client/client.ts";
import { LongPollClient, type News } from "../../src/longpoll/longpoll.ts";
import { keysOf } from "../../src/model/keys.ts";
import type { ControllerLaunch } from "../../src/model/launch.ts";
import type { Leader } from "../../src/model/link-messages.ts";
import { runFiles } from "../../src/model/places.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import type { Bench } from "../comparison.ts";
import { ROOT } from "../programs.ts";
import { copySeed, INSTANCE, INSTANCE_ID, silent } from "./seed.ts";
import { NODE, SimAgent } from "./sim-agent.ts";

const DEADLINE_MS = 60_000;

let worlds = 0;

export class ControlWorld {
  readonly runDir: string;
  readonly agent: SimAgent;
  readonly #stateDir: string;
  readonly #compiled: string;
  readonly #clock = createSystemClock();
  readonly #transport: HttpPollTransport;
  readonly #closers: (() => Promise<void> | void)[] = [];
  #controller: ChildProcess | undefined;
  #leader: Leader | undefined;
  #incarnation = 0;

  /** An instance of this size, led, with its proxy's place polled. */
  static async open(bench: Bench, size: number): Promise<ControlWorld> {
    worlds += 1;
    const name = `world-${worlds}`;
    const world = new ControlWorld(await copySeed(bench, size, name), {
      runDir: join(bench.folder, "run", name),
      compiled: join(bench.folder, "compiled"),
    });
    await world.agent.start();
    await world.startController();
    return world;
  }

  private constructor(stateDir: string, { runDir, compiled }: { readonly runDir: string; readonly compiled: string }) {
    this.#stateDir = stateDir;
    this.#compiled = compiled;
    this.runDir = runDir;
    mkdirSync(runDir, { recursive: true, mode: 0o700 });
    const instanceFile = { id: INSTANCE_ID, name: INSTANCE, stateDir, createdAt: 0 };
    writeFileSync(runFiles(runDir).instance, JSON.stringify(instanceFile));
    this.#transport = createHttpPollTransport({ leader: () => this.#leader });
    this.agent = new SimAgent({
      stateDir,
      runDir,
      clock: this.#clock,
      instance: INSTANCE,
      instanceId: INSTANCE_ID,
      onLeader: (leader) => {
        this.#leader = leader;
        this.#transport.leaderChanged();
      },
    });
  }

  get controllerPid(): number {
    assert(this.#controller?.pid !== undefined, "the controller runs");
    return this.#controller.pid;
  }

  /** Starts the next controller process; resolves when it has said that it leads, which it does when it answers REST. */
  async startController(): Promise<void> {
    this.#incarnation += 1;
    const before = this.#leader?.epoch ?? 0;
    const launch: ControllerLaunch = {
      instance: INSTANCE,
      instanceId: INSTANCE_ID,
      node: NODE,
      stateDir: this.#stateDir,
      runDir: this.runDir,
      incarnation: this.#incarnation,
      http: { location: "head", proxiesPerNode: 1 },
      resume: true,
      firstLife: false,
    };
    // With the cache of compiled code that all processes of a machine share, as an instance has it.
    this.#controller = spawn(process.execPath, [join(ROOT, "src/main/controller.ts"), JSON.stringify(launch)], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, NODE_COMPILE_CACHE: this.#compiled },
    });
    await waitFor("the controller leads", () => (this.#leader?.epoch ?? 0) > before, DEADLINE_MS);
  }

  /** As a crash does it; what an agent does next is done too. */
  async killController(): Promise<void> {
    await this.#endController("SIGKILL");
    await this.agent.revokeLead();
  }

  /** In order: it gives its lead back, and keeps its compiled code for the next one. */
  async stopController(): Promise<void> {
    await this.#endController("SIGTERM");
  }

  async #endController(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    assert(this.#controller !== undefined, "the controller runs");
    const ended = once(this.#controller, "exit");
    this.#controller.kill(signal);
    await ended;
  }

  async connect(): Promise<ServeClient> {
    const random = createSystemRandom();
    const client = await ServeClient.connect({
      transport: createHttpControlTransport({ kind: "unix", path: runFiles(this.runDir).controllerLink }),
      clock: this.#clock,
      drawId: () => random.id(),
      isGone: () => false,
      instance: INSTANCE,
      handle: () => assert(false, "nobody calls"),
      modules: { load: () => Promise.reject(new Error("nobody deploys")) },
      disconnect: async () => {},
      untilGone: async () => "told to end",
      untilEnded: async () => {},
      owned: false,
    });
    this.#closers.push(() => client.close());
    return client;
  }

  /** Plays the instance's proxy: follows everything. */
  async playProxy(apply: (news: News) => void = () => {}): Promise<LongPollClient> {
    const { entries } = await this.agent.store.list(`${keysOf(INSTANCE).assignsOf(NODE)}proxy#`);
    const name = entries[0]?.key.split("/").at(-1);
    assert(name !== undefined, "the instance has a proxy");
    const client = new LongPollClient(
      { transport: this.#transport, clock: this.#clock, log: silent },
      { client: `proxy-${worlds}`, kind: "proxy", name, apply, loads: () => ({}) },
    );
    client.follow("all");
    client.start();
    this.#closers.push(() => client.stop());
    return client;
  }

  async close(): Promise<void> {
    for (const close of this.#closers.toReversed()) await close();
    this.#transport.close();
    if (this.#controller !== undefined) await this.killController();
    await this.agent.stop();
  }
}
