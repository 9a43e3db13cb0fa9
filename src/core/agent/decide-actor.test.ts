import { describe, expect, it } from "vitest";
import {
  actor,
  assigned,
  assignment,
  at,
  fileOf,
  processOf,
  report,
  run,
  writer,
} from "../../../tests/agent/actor-samples.ts";
import {
  BLOCKED_START_RETRY_MS,
  RESTART_BACKOFF_MAX_MS,
  RESTART_BACKOFF_MIN_MS,
  RESTART_BACKOFF_RESET_MS,
} from "../../model/limits.ts";
import {
  type ActorView,
  adoptedActor,
  blockedStart,
  deadActor,
  exitedActor,
  failedStart,
  heardActor,
  linkedActor,
  newActor,
  reportedActor,
  spawnedActor,
  unlinkedActor,
  type Wanted,
} from "./actor-view.ts";
import { decideActor, type Step } from "./decide-actor.ts";
import { wantedAtEnd } from "./ending-order.ts";
import { statusOf } from "./status-row.ts";

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

  it("whose start cannot be written down is tried again for ever, after a pause, and has failed at nothing", () => {
    const error = { code: "state-unwritable", message: "the disk is full" };
    let view = newActor(actor, assigned());
    for (let now = 0; now < 20 * BLOCKED_START_RETRY_MS; now += BLOCKED_START_RETRY_MS) {
      expect(kinds(decideActor(view, at(now)).steps)).toEqual(["start"]);
      view = blockedStart(view, error, now);
      const { steps, wakeAt } = decideActor(view, at(now));
      expect({ steps, wakeAt }).toEqual({ steps: [], wakeAt: now + BLOCKED_START_RETRY_MS });
      expect(statusOf(view, writer)).toMatchObject({ failedStarts: 0, error });
    }
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

  it("by which Node refused its arguments is told them, unless its own code had begun", () => {
    const config = { nodeArgs: ["--bogus-flag"] };
    const file = fileOf(assignment(run, 1, config), 1);
    const refused = { code: 9, signal: undefined };
    const spawned = spawnedActor(newActor(actor, { kind: "unknown" }), file, processOf(1), 0);
    expect(exitedActor(spawned, refused, 10).error).toEqual({
      code: "config-invalid",
      message: `${actor} ended before it ran: exit status 9, by which Node refuses its arguments; nodeArgs is ["--bogus-flag"]. Correct nodeArgs, or NODE_OPTIONS in env.`,
    });
    const begun = reportedActor(linkedActor(spawned), report("starting"), 5);
    expect(exitedActor(begun, refused, 10).error).toMatchObject({
      code: "process-exited",
      message: expect.stringContaining("instead of calling process.exit()"),
    });
  });

  it("whose last attempt began before its newest configuration came gets attempts with that, also from the next agent", () => {
    const attempts = { failedStarts: 2, startedRevision: 1 };
    const third = {
      ...spawnedActor(newActor(actor, assigned()), fileOf(assignment(), 3, attempts), processOf(3), 0),
      ...{ failedStarts: 2 },
    };
    const { view, steps } = decideActor({ ...third, wanted: assigned(run, 2) }, at(1));
    expect(kinds(steps)).toEqual(["save"]);
    const file = fileOf(assignment(run, 2), 3, attempts);
    const failed = exitedActor({ ...view, file }, crash, 2);
    expect(statusOf(failed, writer)).toMatchObject({ state: "exited", failedStarts: 3, startedRevision: 1 });
    const noted = { ...file, failedStarts: 3, error: failed.error };
    for (const seen of [failed, deadActor(noted), { ...deadActor(noted), wanted: assigned(run, 2) }]) {
      const decision = decideActor(seen, at(2));
      expect(decision.steps).toMatchObject([{ kind: "start", incarnation: 4, assignment: { configRevision: 2 } }]);
      expect(decision.view.failedStarts).toBe(0);
    }
    // With its newest configuration it is given up.
    const last = exitedActor({ ...third, file: { ...file, startedRevision: 2 }, wanted: assigned(run, 2) }, crash, 2);
    expect(decideActor(last, at(1e9)).steps).toEqual([]);
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

  it("whose newest configuration was refused keeps the older one in its file, for its next start, and is told nothing", () => {
    const refusing = { ...running(assigned(run, 2)), file: fileOf(assignment(run, 2), 1) };
    const told = decideActor(refusing, at(0)).view;
    const { steps, view } = decideActor({ ...told, wanted: assigned(run, 1) }, at(1));
    expect(steps).toMatchObject([{ kind: "save", assignment: { configRevision: 1 } }]);
    const saved = { ...view, file: fileOf(assignment(run, 1), 1) };
    expect(decideActor(saved, at(2)).steps).toEqual([]);
    expect(kinds(decideActor({ ...saved, wanted: assigned(run, 3) }, at(3)).steps)).toEqual(["save", "configure"]);
  });

  it("is not told its configuration again while it starts with it", () => {
    const spawned = linkedActor(spawnedActor(newActor(actor, assigned()), fileOf(assignment(), 1), processOf(1), 0));
    expect(decideActor(reportedActor(spawned, report("starting", 0), 1), at(1)).steps).toEqual([]);
  });

  it("is told by the next agent what it may have missed, after it has reported what it has", () => {
    const file = fileOf(assignment(run, 5), 1);
    const adopted = { ...adoptedActor(file, processOf(1), 0), wanted: assigned(run, 5) };
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

  it("of an earlier agent's life is killed when it does not get ready in time, measured from its adoption: it may be ready already", () => {
    const file = fileOf(assignment(), 1);
    const adopted = { ...adoptedActor(file, processOf(1), 10_000), wanted: assigned() };
    expect(decideActor(adopted, at(10_950)).steps).toEqual([]);
    expect(decideActor(adopted, at(11_000)).steps).toEqual([{ kind: "kill", reason: "start-timeout" }]);
  });

  it("of an earlier agent's life is what it said last until it speaks again, and is not killed for its age", () => {
    const before = running();
    const file = { ...before.file!, report: before.report };
    const adopted = { ...adoptedActor(file, processOf(1), 10_000), wanted: assigned() };
    expect(statusOf(adopted, writer)).toEqual(statusOf(before, writer));
    expect(decideActor(adopted, at(1e9)).steps).toEqual([]);
  });

  it("without a record, of a node that was given up and is back, is drained when it serves, and killed when it does not", () => {
    const lost = decideActor(running({ kind: "none" }), at(0));
    expect(lost.steps).toMatchObject([
      { kind: "save" },
      { kind: "intent", intent: { kind: "drain", timeoutMs: 20_000 } },
    ]);
    const killed = decideActor(lost.view, at(20_000));
    expect(killed.steps).toEqual([{ kind: "kill", reason: "drain-timeout" }]);
    const ended = exitedActor(lost.view, { code: 0, signal: undefined }, 10);
    expect(kinds(decideActor(ended, at(10)).steps)).toEqual(["forget"]);
    const starting = spawnedActor(newActor(actor, { kind: "none" }), fileOf(assignment(), 1), processOf(1), 0);
    expect(decideActor(starting, at(0)).steps).toEqual([{ kind: "kill", reason: "no-record" }]);
  });

  it("is not dead because its link is", () => {
    expect(decideActor(unlinkedActor(running()), at(1e9)).steps).toEqual([]);
    expect(statusOf(unlinkedActor(running()), writer)?.state).toBe("ready");
  });
});

describe("a ready replica", () => {
  const limit = assigned(run, 1, { loopStallLimitMs: 4_000 });

  it("is asked for a sign of life when it has been quiet for a quarter of its limit, once, and again after it has answered", () => {
    const quiet = decideActor(running(limit), at(999));
    expect(quiet).toMatchObject({ steps: [], wakeAt: 1_000 });
    const asked = decideActor(quiet.view, at(1_000));
    expect(kinds(asked.steps)).toEqual(["ping"]);
    expect(decideActor(asked.view, at(3_000)).steps).toEqual([]);
    const answered = decideActor(heardActor(asked.view, 3_000), at(3_999));
    expect(answered).toMatchObject({ steps: [], wakeAt: 4_000 });
    expect(kinds(decideActor(answered.view, at(4_000)).steps)).toEqual(["ping"]);
  });

  it("that owes the answer for its limit is stalled, which is not dead, and healthy again with its next word", () => {
    const asked = decideActor(running(limit), at(1_000));
    const late = decideActor(asked.view, at(4_999));
    expect(late).toMatchObject({ steps: [], wakeAt: 5_000 });
    expect(statusOf(late.view, writer)).toMatchObject({ health: "healthy" });
    const stalled = decideActor(late.view, at(5_000));
    expect(stalled.steps).toEqual([]);
    expect(statusOf(stalled.view, writer)).toMatchObject({
      state: "ready",
      health: "stalled",
      healthReason: expect.stringContaining("loopStallLimitMs (4000 ms)"),
    });
    expect(statusOf(heardActor(stalled.view, 6_000), writer)).toMatchObject({ health: "healthy" });
  });

  it("whose link is lost, or that an earlier agent started, owes a hello", () => {
    const lost = decideActor(unlinkedActor(running(limit)), at(100));
    expect(lost).toMatchObject({ steps: [], wakeAt: 4_100 });
    expect(statusOf(decideActor(lost.view, at(4_100)).view, writer)?.health).toBe("stalled");
    const before = running(limit);
    const file = { ...fileOf(assignment(run, 1, { loopStallLimitMs: 4_000 }), 1), report: before.report };
    const adopted = decideActor({ ...adoptedActor(file, processOf(1), 50_000), wanted: limit }, at(50_000));
    expect(statusOf(decideActor(adopted.view, at(54_000)).view, writer)?.health).toBe("stalled");
  });

  it("says why it is unhealthy in the words of its checkHealth()", () => {
    const ill = reportedActor(running(), report("ready", 1, { health: "unhealthy", healthReason: "no GPU" }), 1);
    expect(statusOf(ill, writer)).toMatchObject({ health: "unhealthy", healthReason: "no GPU" });
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
