import fc from "fast-check";
import { expect, it } from "vitest";
import { actor, assigned, at, fileOf, processOf, report, run, writer } from "../../../tests/agent/actor-samples.ts";
import { RESTART_BACKOFF_MAX_MS } from "../../model/limits.ts";
import type { ActorReport } from "../../model/link-messages.ts";
import type { ActorFile } from "../../model/places.ts";
import {
  type ActorView,
  adoptedActor,
  deadActor,
  exitedActor,
  linkedActor,
  newActor,
  reportedActor,
  spawnedActor,
  unlinkedActor,
  type Wanted,
} from "./actor-view.ts";
import { decideActor, type Step } from "./decide-actor.ts";
import { statusOf } from "./status-row.ts";

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
        this.living === undefined ? deadActor(this.disk) : adoptedActor(this.disk, processOf(this.living), this.now);
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
        this.end({ code: 1, signal: undefined });
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
        // A process without a record is drained with its own configuration's time.
        world.apply({ kind: "wait", ms: intent === "none" ? 20_000 : 1_000 });
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
