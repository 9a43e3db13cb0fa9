/** An instance of its own for one test: real agent, store and processes in a temporary folder; stand-ins for controller and actors. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isLockHeld } from "../../src/adapters/kernel-lock.ts";
import { launchInstance } from "../../src/adapters/launch.ts";
import { preparePlaces } from "../../src/adapters/places.ts";
import { processHost } from "../../src/adapters/processes.ts";
import { openSqliteStore } from "../../src/adapters/sqlite-store.ts";
import { createSystemClock } from "../../src/adapters/system-clock.ts";
import type { ActorStatus, Assignment, Intent } from "../../src/model/actor.ts";
import { type BackendConfigInput, resolveBackendConfig } from "../../src/model/backend-config.ts";
import type { ActorName, BackendTag, InstanceName, NodeName } from "../../src/model/ids.ts";
import { keysOf } from "../../src/model/keys.ts";
import type { AgentLaunch } from "../../src/model/launch.ts";
import { type ControllerFile, type ProcessIdentity, runFiles, stateFiles } from "../../src/model/places.ts";
import type { InstanceRecord, LeaderRecord } from "../../src/model/records.ts";

const AGENT_ENTRY = fileURLToPath(new URL("fixtures/agent-main.ts", import.meta.url));
const NODE = "local" as NodeName;

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

export type TestInstance = Awaited<ReturnType<typeof makeInstance>>;

export async function makeInstance(options: { readonly owner?: ProcessIdentity } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "maitred-agent-test-"));
  const instance = "test" as InstanceName;
  const env = { MAITRED_RUN_ROOT: join(folder, "run") };
  process.env["MAITRED_RUN_ROOT"] = env.MAITRED_RUN_ROOT;
  const places = preparePlaces({ instance, life: "detached", stateDir: join(folder, "state"), env });
  const { stateDir, runDir } = places;
  const state = stateFiles(stateDir);
  const run = runFiles(runDir);
  const keys = keysOf(instance);
  const processes = processHost();
  let openedStore: ReturnType<typeof openSqliteStore> | undefined;

  const launch: AgentLaunch = {
    instance,
    node: NODE,
    stateDir,
    runDir,
    http: { port: 0 },
    owner: options.owner,
    output: "files",
    resume: true,
    execArgv: [],
  };
  const store = () => (openedStore ??= openSqliteStore({ path: state.store, clock: createSystemClock() }));
  const put = (key: string, value: unknown) =>
    store().txn({ compare: [], then: [{ kind: "put", key, value: JSON.stringify(value) }] });
  const read = async <T>(key: string): Promise<T | undefined> => {
    const entry = await store().get(key);
    return entry === undefined ? undefined : (JSON.parse(entry.value) as T);
  };
  const statusOf = async (actor: string) => {
    const [row, node] = await Promise.all([
      read<ActorStatus>(keys.status(NODE, actor as ActorName)),
      read<{ incarnation: number }>(keys.node(NODE)),
    ]);
    return node !== undefined && row?.nodeIncarnation === node.incarnation ? row : undefined;
  };

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
          config: resolveBackendConfig({ userConfig: "ready", ...more.config }),
        },
  });

  const everybody = (): readonly number[] =>
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .filter((name) => {
        try {
          const isZombie = / Z /.test(readFileSync(`/proc/${name}/stat`, "latin1").replace(/\(.*\)/, "()"));
          return !isZombie && readFileSync(`/proc/${name}/environ`, "utf8").includes(folder);
        } catch {
          return false;
        }
      })
      .map(Number);
  const agents = () =>
    everybody().filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("maitred agent");
      } catch {
        return false;
      }
    });

  /** Command lines, for a look by eye or by name. */
  const titlesOf = (pids: readonly number[]) =>
    pids
      .map((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, "utf8");
        } catch {
          return "";
        }
      })
      .join("\n");

  return {
    ...places,
    titlesOf,
    state,
    run,
    keys,
    launch,
    store,
    put,
    statusOf,
    everybody,
    agents,
    start: (change: Partial<AgentLaunch> = {}) => launchInstance({ ...launch, ...change }, AGENT_ENTRY),
    assign: (actor: string, more: AssignOptions = {}) =>
      put(keys.assign(NODE, actor as ActorName), assignmentOf(actor, more)),
    unassign: (actor: string) =>
      store().txn({ compare: [], then: [{ kind: "delete", key: keys.assign(NODE, actor as ActorName) }] }),
    untilStatus: (actor: string, is: (row: ActorStatus) => boolean, timeoutMs?: number) =>
      until(
        `status of ${actor}`,
        async () => {
          const row = await statusOf(actor);
          return row !== undefined && is(row) ? row : undefined;
        },
        timeoutMs,
      ),
    setPhase: async (phase: InstanceRecord["phase"]) => {
      const record = await read<InstanceRecord>(keys.instance);
      await put(keys.instance, { ...record, phase });
    },
    leader: () => read<LeaderRecord>(keys.leader),
    agentPid: async () => (await read<{ pid: number }>(keys.node(NODE)))?.pid,
    controller: () => JSON.parse(readFileSync(state.controller, "utf8")) as ControllerFile,
    isAlive: (pid: number) => {
      const identity = processes.identityOf(pid);
      return identity !== undefined && processes.isAlive(identity);
    },
    isGone: () => everybody().length === 0 && !existsSync(run.instance) && !isLockHeld(run.lock),
    dispose: async () => {
      await openedStore?.close().catch(() => {});
      // More than once: a dying controller or proxy may just have started an agent.
      await until("every process of the test is gone", () => {
        for (const pid of everybody()) {
          try {
            process.kill(pid, "SIGKILL");
          } catch {
            // gone already
          }
        }
        return everybody().length === 0;
      });
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface AssignOptions {
  readonly intent?: Intent;
  readonly config?: BackendConfigInput;
  readonly configRevision?: number;
}
