import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Assignment, Intent } from "../../model/actor.ts";
import { type BackendConfigInput, resolveBackendConfig } from "../../model/backend-config.ts";
import type { ActorName, BackendTag, NodeName } from "../../model/ids.ts";
import { RESTART_BACKOFF_MAX_MS, RESTART_BACKOFF_MIN_MS, RESTART_BACKOFF_RESET_MS } from "../../model/limits.ts";
import type { ActorReport } from "../../model/link-messages.ts";
import type { ActorFile, ProcessIdentity } from "../../model/places.ts";
import {
  type ActorView,
  adoptedActor,
  deadActor,
  exitedActor,
  failedStart,
  linkedActor,
  newActor,
  reportedActor,
  spawnedActor,
  unlinkedActor,
  type Wanted,
} from "./actor-view.ts";
import { type Circumstances, decideActor, type Step } from "./decide-actor.ts";
import { wantedAtEnd } from "./ending-order.ts";
import { statusOf } from "./status-row.ts";

const actor = "b#1" as ActorName;
const writer = { node: "n" as NodeName, nodeIncarnation: 4 };
const at = (now: number): Circumstances => ({ now, trustFilesFrom: 0 });
const run: Intent = { kind: "run" };

const assignment = (intent: Intent = run, configRevision = 1, config: BackendConfigInput = {}): Assignment => ({
  actor,
  node: "n" as NodeName,
  rollout: 1,
  configRevision,
  intent,
  spec: {
    kind: "replica",
    backend: "b" as BackendTag,
    code: { kind: "export", module: "file:///b.js", export: "b", args: [] },
    config: resolveBackendConfig({ maxStartAttempts: 3, startTimeoutMs: 1_000, ...config }),
  },
});
const assigned = (intent?: Intent, configRevision?: number, config?: BackendConfigInput): Wanted => ({
  kind: "assigned",
  assignment: assignment(intent, configRevision, config),
});
const processOf = (pid: number): ProcessIdentity => ({ pid, startTime: "1", bootId: "boot" });
const fileOf = (given: Assignment, incarnation: number, more: Partial<ActorFile> = {}): ActorFile => ({
  instanceId: "i",
  instance: "i",
  stateDir: "/s",
  runDir: "/r",
  assignment: given,
  incarnation,
  process: processOf(incarnation),
  failedStarts: 0,
  startedAt: 0,
  ...more,
});
const report = (state: ActorReport["state"], configRevision = 1, more: Partial<ActorReport> = {}): ActorReport => ({
  state,
  address: undefined,
  configRevision,
  error: undefined,
  offers: undefined,
  health: "healthy",
  ...more,
});
const kinds = (steps: readonly Step[]) => steps.map((step) => step.kind);

/** A replica that runs, is ready since instant 0 and linked. */
const running = (wanted: Wanted = assigned()): ActorView => {
  const spawned = spawnedActor(newActor(actor, wanted), fileOf(assignment(), 1), processOf(1), 0);
  return reportedActor(linkedActor(spawned), report("ready"), 0);
};
const crash = { code: 1, signal: undefined };

describe("an actor without a process", () => {
  it("is started with the first incarnation", () => {
    const { steps } = decideActor(newActor(actor, assigned()), at(0));
    expect(steps).toEqual([{ kind: "start", assignment: assignment(), incarnation: 1 }]);
  });

  it("is left alone when it is to drain or to be killed, and reported exited", () => {
    for (const intent of [{ kind: "drain", timeoutMs: 1 }, { kind: "kill" }] as const) {
      const { steps, view } = decideActor(newActor(actor, assigned(intent)), at(0));
      expect(steps).toEqual([]);
      expect(statusOf(view, writer)?.state).toBe("exited");
    }
  });

  it("is forgotten when the store has no record of it", () => {
    const { steps } = decideActor({ ...deadActor(fileOf(assignment(), 3)), wanted: { kind: "none" } }, at(0));
    expect(kinds(steps)).toEqual(["forget"]);
  });

  it("is restarted from its file alone only when the store has had its chance to answer", () => {
    const view = deadActor(fileOf(assignment(), 3));
    const early = decideActor(view, { now: 100, trustFilesFrom: 1_000 });
    expect(early).toMatchObject({ steps: [], wakeAt: 1_000 });
    const later = decideActor(view, { now: 1_000, trustFilesFrom: 1_000 });
    expect(later.steps).toMatchObject([{ kind: "start", incarnation: 4 }]);
  });

  it("stays away after its last attempt, until its configuration changes", () => {
    let view = newActor(actor, assigned());
    for (let attempt = 1; attempt <= 3; attempt++) {
      view = { ...failedStart(view, { code: "start-failed", message: "no" }, 0), file: fileOf(assignment(), attempt) };
    }
    expect(decideActor(view, at(1e9)).steps).toEqual([]);
    expect(statusOf(view, writer)).toMatchObject({ state: "exited", failedStarts: 3, error: { code: "start-failed" } });
    const changed = decideActor({ ...view, wanted: assigned(run, 2) }, at(0));
    expect(changed.steps).toMatchObject([{ kind: "start", incarnation: 4 }]);
    expect(changed.view.failedStarts).toBe(0);
  });

  it("says starting, not exited, before its first start", () => {
    expect(statusOf(newActor(actor, assigned()), writer)?.state).toBe("starting");
  });
});

describe("an actor whose process ended", () => {
  it("starts again at once the first time, then after 250 ms, 500 ms, … up to the longest pause", () => {
    const pauses: number[] = [];
    let view = running();
    for (let crashes = 0; crashes < 12; crashes++) {
      view = exitedActor(view, crash, 100);
      if (view.life.kind === "down") pauses.push(view.life.notBefore - 100);
      view = reportedActor(
        spawnedActor(view, fileOf(assignment(), crashes + 2), processOf(crashes + 2), 100),
        report("ready"),
        100,
      );
    }
    expect(pauses.slice(0, 4)).toEqual([
      0,
      RESTART_BACKOFF_MIN_MS,
      RESTART_BACKOFF_MIN_MS * 2,
      RESTART_BACKOFF_MIN_MS * 4,
    ]);
    expect(pauses.at(-1)).toBe(RESTART_BACKOFF_MAX_MS);
  });

  it("starts at once again after it had been ready for long", () => {
    const often = { ...running(), restarts: 8 };
    const view = exitedActor(often, crash, RESTART_BACKOFF_RESET_MS);
    expect(decideActor(view, at(RESTART_BACKOFF_RESET_MS)).steps).toMatchObject([{ kind: "start" }]);
  });

  it("counts a failed start when it had not been ready, with the error it reported", () => {
    const spawned = linkedActor(spawnedActor(newActor(actor, assigned()), fileOf(assignment(), 1), processOf(1), 0));
    const error = { code: "start-failed", message: "no model" };
    const view = exitedActor(reportedActor(spawned, report("starting", 0, { error }), 5), crash, 10);
    expect(view).toMatchObject({ failedStarts: 1, error, life: { notBefore: 10 + RESTART_BACKOFF_MIN_MS } });
  });

  it("does not come back when it was drained, and its clean end is no error", () => {
    const drained = decideActor(running(assigned({ kind: "drain", timeoutMs: 500 })), at(0)).view;
    const view = exitedActor(drained, { code: 0, signal: undefined }, 10);
    expect(decideActor(view, at(1e9)).steps).toEqual([]);
    expect(statusOf(view, writer)).toMatchObject({ state: "exited", error: undefined });
  });

  it("is told apart by how it ended", () => {
    const view = exitedActor(running(), { code: undefined, signal: "SIGSEGV" }, 10);
    expect(view.error).toMatchObject({ code: "process-exited", message: expect.stringContaining("killed by SIGSEGV") });
  });
});

describe("an actor with a process", () => {
  it("gets a newer configuration once for each link, its file first", () => {
    const first = decideActor(running(assigned(run, 2)), at(0));
    expect(kinds(first.steps)).toEqual(["save", "configure"]);
    const saved = { ...first.view, file: fileOf(assignment(run, 2), 1) };
    expect(decideActor(saved, at(1)).steps).toEqual([]);
    const relinked = linkedActor(unlinkedActor(saved));
    expect(kinds(decideActor(relinked, at(2)).steps)).toEqual(["configure"]);
    const applied = reportedActor(relinked, report("ready", 2), 3);
    expect(decideActor(applied, at(3)).steps).toEqual([]);
  });

  it("is not told its configuration again while it starts with it", () => {
    const spawned = linkedActor(spawnedActor(newActor(actor, assigned()), fileOf(assignment(), 1), processOf(1), 0));
    expect(decideActor(reportedActor(spawned, report("starting", 0), 1), at(1)).steps).toEqual([]);
  });

  it("is told by the next agent what it may have missed, after it has reported what it has", () => {
    const file = fileOf(assignment(run, 5), 1);
    const adopted = { ...adoptedActor(file, processOf(1), { now: 0, ageMs: 0 }), wanted: assigned(run, 5) };
    const linked = linkedActor(adopted);
    expect(decideActor(linked, at(0)).steps).toEqual([]);
    const steps = decideActor(reportedActor(linked, report("ready", 4), 0), at(0)).steps;
    expect(steps).toMatchObject([{ kind: "configure", configRevision: 5 }]);
  });

  it("is drained when its link comes, and killed when the time is over even without one", () => {
    const unlinked = unlinkedActor(running(assigned({ kind: "drain", timeoutMs: 500 })));
    const first = decideActor(unlinked, at(0));
    expect(kinds(first.steps)).toEqual(["save"]);
    expect(first.wakeAt).toBe(500);
    const second = decideActor(linkedActor(first.view), at(100));
    expect(kinds(second.steps)).toContain("intent");
    expect(statusOf(second.view, writer)?.state).toBe("draining");
    const third = decideActor(second.view, at(500));
    expect(third.steps).toEqual([{ kind: "kill", reason: "drain-timeout" }]);
    expect(decideActor(third.view, at(600)).steps).toEqual([]);
  });

  it("is killed when it does not get ready in time, measured from its start in an earlier agent's life", () => {
    const file = fileOf(assignment(), 1);
    const adopted = { ...adoptedActor(file, processOf(1), { now: 10_000, ageMs: 900 }), wanted: assigned() };
    expect(decideActor(adopted, at(10_050)).steps).toEqual([]);
    expect(decideActor(adopted, at(10_100)).steps).toEqual([{ kind: "kill", reason: "start-timeout" }]);
  });

  it("is not dead because its link is", () => {
    expect(decideActor(unlinkedActor(running()), at(1e9)).steps).toEqual([]);
    expect(statusOf(unlinkedActor(running()), writer)?.state).toBe("ready");
  });
});

it("ends proxies before the replicas they need, and gives nobody more than the time there is", () => {
  const replica = running();
  expect(wantedAtEnd(replica, { drains: "proxies", mostMs: 100 })).toBeUndefined();
  expect(wantedAtEnd(replica, { drains: "all", mostMs: 100 })).toMatchObject({
    assignment: { intent: { kind: "drain", timeoutMs: 100 } },
  });
  expect(wantedAtEnd(replica, { drains: "all", mostMs: 1e9 })).toMatchObject({
    assignment: { intent: { kind: "drain", timeoutMs: 20_000 } },
  });
});

// ── any sequence of events

type Event =
  | { readonly kind: "want"; readonly wanted: Wanted }
  | { readonly kind: "link" | "unlink" | "crash" | "agent-crash" }
  | { readonly kind: "report"; readonly state: ActorReport["state"] }
  | { readonly kind: "wait"; readonly ms: number };

const events: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc
      .integer({ min: 1, max: 5 })
      .map((revision): Event => ({ kind: "want", wanted: assigned(run, revision) })),
  },
  fc.constantFrom<Event>(
    { kind: "want", wanted: assigned({ kind: "drain", timeoutMs: 300 }, 5) },
    { kind: "want", wanted: assigned({ kind: "kill" }, 5) },
    { kind: "want", wanted: { kind: "none" } },
  ),
  {
    weight: 6,
    arbitrary: fc.constantFrom<Event>({ kind: "link" }, { kind: "unlink" }, { kind: "crash" }, { kind: "agent-crash" }),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom<Event>({ kind: "report", state: "starting" }, { kind: "report", state: "ready" }),
  },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 2_000 }).map((ms): Event => ({ kind: "wait", ms })) },
);

const stageOf = (wanted: Wanted): number => {
  if (wanted.kind !== "assigned") return 3;
  return ["run", "drain", "kill"].indexOf(wanted.assignment.intent.kind);
};

const revisionOf = (wanted: Wanted): number => (wanted.kind === "assigned" ? wanted.assignment.configRevision : 0);
const isNewer = (next: Wanted, now: Wanted): boolean =>
  stageOf(next) > stageOf(now) || (stageOf(next) === stageOf(now) && revisionOf(next) >= revisionOf(now));

/** One actor, its disk and its process, driven by a decision after every event. */
class World {
  now = 0;
  view: ActorView | undefined = newActor(actor, assigned());
  disk: ActorFile | undefined;
  living: number | undefined;
  knownRevision = 0;
  readonly started: number[] = [];

  settle(): void {
    for (let turns = 0; turns < 10 && this.view !== undefined; turns++) {
      const decision = decideActor(this.view, at(this.now));
      this.view = decision.view;
      for (const step of decision.steps) this.carryOut(step);
      if (decision.steps.length === 0) return;
    }
    if (this.view !== undefined) throw new Error("decisions do not settle");
  }

  carryOut(step: Step): void {
    const view = this.view!;
    switch (step.kind) {
      case "start": {
        expect(this.living, "never two processes of one name").toBeUndefined();
        expect(step.incarnation, "incarnations rise").toBeGreaterThan(this.started.at(-1) ?? 0);
        expect(this.disk?.incarnation ?? 0).toBe(this.started.at(-1) ?? 0);
        this.started.push(step.incarnation);
        this.living = step.incarnation;
        this.knownRevision = step.assignment.configRevision;
        this.disk = fileOf(step.assignment, step.incarnation, { failedStarts: view.failedStarts });
        this.view = spawnedActor(view, this.disk, processOf(step.incarnation), this.now);
        return;
      }
      case "save":
        this.disk = { ...this.disk!, assignment: step.assignment };
        this.view = { ...view, file: this.disk };
        return;
      case "configure":
        expect(this.disk?.assignment.configRevision, "its file knows first").toBe(step.configRevision);
        this.knownRevision = Math.max(this.knownRevision, step.configRevision);
        return;
      case "kill":
        this.end({ code: undefined, signal: "SIGKILL" });
        return;
      case "intent":
        expect(this.disk?.assignment.intent.kind).toBe("drain");
        return;
      case "forget":
        expect(this.living, "nothing that lives is forgotten").toBeUndefined();
        this.disk = undefined;
        this.view = undefined;
        return;
    }
  }

  end(exit: { code: number | undefined; signal: string | undefined }): void {
    if (this.view?.life.kind !== "up") return;
    this.living = undefined;
    this.view = exitedActor(this.view, exit, this.now);
    if (this.view.failedStarts > 0) this.disk = { ...this.disk!, failedStarts: this.view.failedStarts };
    this.view = { ...this.view, file: this.disk };
  }

  /** The agent dies and another begins with what is on disk; the store tells it later. */
  agentCrash(): void {
    const wanted = this.view?.wanted ?? { kind: "none" };
    if (this.disk === undefined) this.view = wanted.kind === "none" ? undefined : newActor(actor, wanted);
    else {
      const begun =
        this.living === undefined
          ? deadActor(this.disk)
          : adoptedActor(this.disk, processOf(this.living), { now: this.now, ageMs: 0 });
      this.view = { ...begun, wanted };
    }
  }

  apply(event: Event): void {
    if (this.view === undefined) return;
    switch (event.kind) {
      case "want":
        // The controller takes nothing back: who leaves is replaced under another name, and revisions rise.
        if (isNewer(event.wanted, this.view.wanted)) this.view = { ...this.view, wanted: event.wanted };
        break;
      case "link":
        this.view = linkedActor(this.view);
        break;
      case "unlink":
        this.view = unlinkedActor(this.view);
        break;
      case "crash":
        this.end(crash);
        break;
      case "agent-crash":
        this.agentCrash();
        break;
      case "report":
        if (this.living !== undefined) {
          const revision = event.state === "starting" ? 0 : this.knownRevision;
          this.view = reportedActor(this.view, report(event.state, revision), this.now);
        }
        break;
      case "wait":
        this.now += event.ms;
        break;
    }
    this.settle();
  }
}

it("whatever happens: one process at most, rising incarnations, and a healthy actor that is wanted ends up running", () => {
  fc.assert(
    fc.property(fc.array(events, { maxLength: 60 }), (sequence) => {
      const world = new World();
      world.settle();
      for (const event of sequence) world.apply(event);

      const { view } = world;
      if (view === undefined) return;
      expect(view.life.kind === "up").toBe(world.living !== undefined);
      const intent = view.wanted.kind === "assigned" ? view.wanted.assignment.intent.kind : "none";
      if (intent !== "run") {
        world.apply({ kind: "wait", ms: 1_000 });
        expect(world.living, "what is not to run is gone after its time").toBeUndefined();
        return;
      }
      // From here on the process behaves: with a new configuration it gets new attempts.
      world.apply({ kind: "want", wanted: assigned(run, 6) });
      if (world.living === undefined) world.apply({ kind: "wait", ms: RESTART_BACKOFF_MAX_MS });
      world.apply({ kind: "link" });
      world.apply({ kind: "report", state: "ready" });
      world.apply({ kind: "report", state: "ready" });
      expect(statusOf(world.view!, writer)).toMatchObject({ state: "ready", configRevision: 6 });
    }),
    { numRuns: 1_000 },
  );
});
