/**
 * Controllers on a real SQLite file in a folder of their own, with a scripted agent beside them. A controller that "crashes" stops
 * where its fault point says and never says another word; the next one is another `Controller` on the same file.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore, type SqliteStore } from "../../src/adapters/sqlite-store.ts";
import { createSystemClock } from "../../src/adapters/system-clock.ts";
import type { ServeError } from "../../src/base/serve-error.ts";
import { Controller, type LifeEnd } from "../../src/controller/controller.ts";
import { Meters } from "../../src/core/metrics/meters.ts";
import type { Call, Goal } from "../../src/model/calls.ts";
import type { GoalId, InstanceId, InstanceName } from "../../src/model/ids.ts";
import { keysOf } from "../../src/model/keys.ts";
import type { HttpConfig } from "../../src/model/records.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { CodeProbe } from "../../src/ports/code-probe.ts";
import type { Log } from "../../src/ports/log.ts";
import type { Store } from "../../src/ports/store.ts";
import { type AgentScript, NODE, ScriptedAgent } from "./scripted-agent.ts";
import { waitFor } from "./wait-for.ts";

const INSTANCE = "lab" as InstanceName;
const DEADLINE_MS = 10_000;

type CallBody = Call extends infer C ? (C extends Call ? Omit<C, "goalId"> : never) : never;

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent };

const anyCode: CodeProbe = {
  probe: async ({ module, targets }) => ({
    kind: "loaded",
    code: { files: `files of ${module}`, entry: module },
    targets: targets.map(() => ({
      kind: "possible",
      offers: { door: "function", methods: [], batches: "yes", reconfigures: "yes" },
    })),
  }),
};

export interface RunningController {
  readonly controller: Controller;
  readonly store: SqliteStore;
  readonly ends: readonly LifeEnd[];
  readonly epochs: readonly number[];
  readonly failures: readonly { readonly code: string; readonly message: string }[];
  readonly standstills: readonly ServeError[];
}

export interface ControllerScript {
  /** Called after each save, before its reply; throw to crash there. */
  readonly afterSave?: () => void;
  /** Wraps what the controller takes for its store. */
  readonly through?: (store: Store) => Store;
  /** Without it every module loads, and offers everything. */
  readonly probe?: CodeProbe;
  readonly phase?: "resume" | "keep";
  readonly http?: Partial<HttpConfig>;
  readonly isFirstLife?: boolean;
}

/** The system's clock, `speed` times as fast: windows and retries pass sooner, their order stays. */
const fastClock = (speed: number): Clock => {
  const clock = createSystemClock();
  return {
    now: () => clock.now() * speed,
    timestamp: () => clock.timestamp(),
    after: (delayMs, callback) => clock.after(delayMs / speed, callback),
  };
};

export class ControllerLab {
  readonly folder = mkdtempSync(join(tmpdir(), "maitred-controller-"));
  readonly clock: Clock;
  readonly keys = keysOf(INSTANCE);
  readonly agents: ScriptedAgent[] = [];
  readonly controllers: RunningController[] = [];
  #ids = 0;

  constructor({ speed = 1 }: { readonly speed?: number } = {}) {
    this.clock = fastClock(speed);
  }

  get path(): string {
    return join(this.folder, "maitred.db");
  }

  async startAgent(script: AgentScript = {}, incarnation = 1): Promise<ScriptedAgent> {
    const before = this.agents.at(-1)?.rows() ?? [];
    const onCommit = () => this.#nudgeAll();
    const agent = new ScriptedAgent(
      { path: this.path, clock: this.clock, instance: INSTANCE, onCommit, incarnation },
      script,
    );
    this.agents.push(agent);
    await agent.start(before);
    return agent;
  }

  startController(script: ControllerScript = {}): RunningController {
    const store = openSqliteStore({ path: this.path, clock: this.clock, onCommit: () => this.#nudgeAll() });
    const ends: LifeEnd[] = [];
    const epochs: number[] = [];
    const failures: { code: string; message: string }[] = [];
    const standstills: ServeError[] = [];
    const incarnation = this.controllers.length + 1;
    const controller = new Controller(
      {
        store: script.through?.(store) ?? store,
        clock: this.clock,
        log: silent,
        meters: new Meters(),
        probe: script.probe ?? anyCode,
        faults: { point: () => script.afterSave?.() },
      },
      {
        instance: INSTANCE,
        node: NODE,
        address: `unix:/c-${incarnation}.sock`,
        pid: process.pid,
        incarnation,
        begin: {
          instanceId: "lab-id" as InstanceId,
          http: script.http ?? { location: "none" },
          phase: script.phase ?? "resume",
        },
        isFirstLife: script.isFirstLife ?? true,
      },
      {
        onLead: (epoch) => epochs.push(epoch),
        onStandstill: (error) => standstills.push(error),
        onLost: (end) => ends.push(end),
        onFailed: (error) => failures.push(error),
      },
    );
    const running = { controller, store, ends, epochs, failures, standstills };
    this.controllers.push(running);
    controller.start();
    return running;
  }

  /** A controller that leads. */
  async lead(script: ControllerScript = {}): Promise<Controller> {
    const running = this.startController(script);
    await waitFor("the controller leads", () => running.epochs.length > 0, DEADLINE_MS);
    return running.controller;
  }

  drawId(): GoalId {
    this.#ids += 1;
    return `lab-${this.#ids}` as GoalId;
  }

  submit(controller: Controller, body: CallBody, goalId = this.drawId()): Promise<Goal> {
    return controller.submit({ ...body, goalId } as Call);
  }

  /** Makes the change and waits until its goal is settled. */
  async settle(controller: Controller, body: CallBody, goalId = this.drawId()): Promise<Goal> {
    await this.submit(controller, body, goalId);
    return controller.waitForGoal(goalId, DEADLINE_MS, new AbortController().signal);
  }

  /** What is saved: key → parsed value, without keys that tell of processes and leadership. */
  async saved(): Promise<ReadonlyMap<string, unknown>> {
    const store = openSqliteStore({ path: this.path, clock: this.clock });
    const { entries } = await store.list(this.keys.root);
    await store.close();
    return new Map(entries.map(({ key, value }) => [key.slice(this.keys.root.length), JSON.parse(value) as unknown]));
  }

  async close(): Promise<void> {
    for (const { controller, store } of this.controllers) {
      await controller.stop();
      await store.close();
    }
    for (const agent of this.agents) await agent.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #nudgeAll(): void {
    for (const { store } of this.controllers) store.nudge();
    for (const agent of this.agents) agent.store.nudge();
  }
}
