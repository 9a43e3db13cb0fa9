/** An instance of its own for one test: real agent, store and processes in a temporary folder; stand-ins for controller and actors. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isLockHeld } from "../../src/adapters/kernel-lock.ts";
import { type LaunchedInstance, launchInstance } from "../../src/adapters/launch.ts";
import { type Places, preparePlaces } from "../../src/adapters/places.ts";
import { processHost } from "../../src/adapters/processes.ts";
import { openSqliteStore, type SqliteStore } from "../../src/adapters/sqlite-store.ts";
import { createSystemClock } from "../../src/adapters/system-clock.ts";
import type { ActorStatus, Assignment, Intent } from "../../src/model/actor.ts";
import { type BackendConfigInput, resolveBackendConfig } from "../../src/model/backend-config.ts";
import type { ActorName, BackendTag, InstanceName, NodeName } from "../../src/model/ids.ts";
import { keysOf } from "../../src/model/keys.ts";
import type { AgentLaunch } from "../../src/model/launch.ts";
import { type ControllerFile, type ProcessIdentity, runFiles, stateFiles } from "../../src/model/places.ts";
import type { InstanceRecord, LeaderRecord } from "../../src/model/records.ts";

const AGENT_ENTRY = fileURLToPath(new URL("../fixtures/agent/agent-main.ts", import.meta.url));
const INSTANCE = "test" as InstanceName;
const NODE = "local" as NodeName;

/** Polls until the look answers something; a deadline instead of a hope. */
export const until = async <T>(
  what: string,
  look: () => T | Promise<T>,
  timeoutMs = 10_000,
): Promise<NonNullable<T>> => {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false) return found as NonNullable<T>;
    if (performance.now() > deadline) throw new Error(`did not come true within ${timeoutMs} ms: ${what}`);
    await sleep(10);
  }
};

export interface AssignOptions {
  readonly intent?: Intent;
  readonly config?: BackendConfigInput;
  readonly configRevision?: number;
}

export async function makeInstance(
  options: { readonly owners?: readonly ProcessIdentity[] } = {},
): Promise<TestInstance> {
  const folder = await mkdtemp(join(tmpdir(), "maitred-agent-test-"));
  process.env["MAITRED_RUN_ROOT"] = join(folder, "run"); // in the environment of all processes, so it also marks them
  const stateDir = join(folder, "state");
  const places = preparePlaces({ instance: INSTANCE, life: "detached", stateDir, env: process.env });
  return new TestInstance(folder, places, options.owners ?? []);
}

export class TestInstance {
  readonly keys = keysOf(INSTANCE);
  readonly stateDir: string;
  readonly runDir: string;
  readonly state: ReturnType<typeof stateFiles>;
  readonly run: ReturnType<typeof runFiles>;
  readonly launch: AgentLaunch;
  readonly #folder: string;
  readonly #processes = processHost();
  #store: SqliteStore | undefined;

  constructor(folder: string, { stateDir, runDir }: Places, owners: readonly ProcessIdentity[]) {
    this.#folder = folder;
    this.stateDir = stateDir;
    this.runDir = runDir;
    this.state = stateFiles(stateDir);
    this.run = runFiles(runDir);
    const more = { http: { port: 0 }, owners, output: "files", resume: true, execArgv: [] } as const;
    this.launch = { instance: INSTANCE, node: NODE, stateDir, runDir, ...more };
  }

  start(change: Partial<AgentLaunch> = {}, signal?: AbortSignal): Promise<LaunchedInstance> {
    return launchInstance({ ...this.launch, ...change }, { agentEntry: AGENT_ENTRY, signal });
  }

  // ── the store, as a controller would use it

  store(): SqliteStore {
    this.#store ??= openSqliteStore({ path: this.state.store, clock: createSystemClock() });
    return this.#store;
  }

  assign(actor: string, more: AssignOptions = {}): Promise<unknown> {
    return this.#put(this.keys.assign(NODE, actor as ActorName), assignmentOf(actor, more));
  }

  unassign(actor: string): Promise<unknown> {
    const key = this.keys.assign(NODE, actor as ActorName);
    return this.store().txn({ compare: [], then: [{ kind: "delete", key }] });
  }

  async setPhase(phase: InstanceRecord["phase"]): Promise<void> {
    await this.#put(this.keys.instance, { ...(await this.#read<InstanceRecord>(this.keys.instance)), phase });
  }

  /** Only a row that counts: under a live registration of the same incarnation. */
  async statusOf(actor: string): Promise<ActorStatus | undefined> {
    const row = await this.#read<ActorStatus>(this.keys.status(NODE, actor as ActorName));
    const node = await this.#read<{ incarnation: number }>(this.keys.node(NODE));
    return node !== undefined && row?.nodeIncarnation === node.incarnation ? row : undefined;
  }

  untilStatus(actor: string, is: (row: ActorStatus) => boolean, timeoutMs?: number): Promise<ActorStatus> {
    const look = async () => {
      const row = await this.statusOf(actor);
      return row !== undefined && is(row) ? row : undefined;
    };
    return until(`status of ${actor}`, look, timeoutMs);
  }

  leader(): Promise<LeaderRecord | undefined> {
    return this.#read<LeaderRecord>(this.keys.leader);
  }

  /** Of the registered agent. */
  async agentPid(): Promise<number | undefined> {
    return (await this.#read<{ pid: number }>(this.keys.node(NODE)))?.pid;
  }

  // ── processes and files

  controller(): ControllerFile {
    return JSON.parse(readFileSync(this.state.controller, "utf8")) as ControllerFile;
  }

  isAlive(pid: number): boolean {
    const identity = this.#processes.identityOf(pid);
    return identity !== undefined && this.#processes.isAlive(identity);
  }

  /** Every living process of this instance, however it came to be. */
  everybody(): readonly number[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .map(Number)
      .filter((pid) => readProc(pid, "environ").includes(this.#folder) && this.isAlive(pid));
  }

  agents(): readonly number[] {
    return this.everybody().filter((pid) => readProc(pid, "cmdline").startsWith("maitred agent"));
  }

  /** Whether a living process has this in its command line. */
  runs(text: string): boolean {
    return this.everybody().some((pid) => readProc(pid, "cmdline").includes(text));
  }

  isGone(): boolean {
    return this.everybody().length === 0 && !existsSync(this.run.instance) && !isLockHeld(this.run.lock);
  }

  isErased(): boolean {
    return this.isGone() && !existsSync(this.stateDir) && !existsSync(this.runDir);
  }

  async dispose(): Promise<void> {
    await this.#store?.close().catch(() => {}); // some tests break it
    // More than once: a dying controller or proxy may just have started an agent.
    await until("every process of the test is gone", () => {
      for (const pid of this.everybody()) this.#processes.signal(this.#processes.identityOf(pid)!, "SIGKILL");
      return this.everybody().length === 0;
    });
    await rm(this.#folder, { recursive: true, force: true });
  }

  #put(key: string, value: unknown): Promise<unknown> {
    return this.store().txn({ compare: [], then: [{ kind: "put", key, value: JSON.stringify(value) }] });
  }

  async #read<T>(key: string): Promise<T | undefined> {
    const entry = await this.store().get(key);
    return entry === undefined ? undefined : (JSON.parse(entry.value) as T);
  }
}

const assignmentOf = (actor: string, more: AssignOptions): Assignment => ({
  actor: actor as ActorName,
  node: NODE,
  rollout: 1,
  configRevision: more.configRevision ?? 1,
  intent: more.intent ?? { kind: "run" },
  spec: actor.startsWith("proxy")
    ? { kind: "proxy", host: "127.0.0.1", port: 0 }
    : {
        kind: "replica",
        backend: "b" as BackendTag,
        code: { kind: "export", module: import.meta.url, export: "x", args: [] },
        identity: undefined,
        config: resolveBackendConfig({ userConfig: "ready", ...more.config }),
      },
});

const readProc = (pid: number, file: "environ" | "cmdline"): string => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return ""; // it went meanwhile
  }
};
