import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { backendOf, endpointOf, RouterLab } from "../../tests/harness/router-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import type { WireQuery } from "../../tests/harness/wire-replica.ts";
import { MAX_REFUSALS_PER_QUERY } from "../model/limits.ts";
import type { PollTransport } from "../ports/poll-transport.ts";
import { Admission, type Guest } from "../replica/admission.ts";

const DEADLINE_MS = 5_000;
const answer = (query: WireQuery) => query.answer("ok");
const codeOf = async (asked: ReturnType<RouterLab["ask"]>) => (await asked.outcome).failure?.code;

let lab: RouterLab;
beforeEach(() => {
  lab = new RouterLab();
});
afterEach(() => lab.close());

describe("waiting for a replica", () => {
  test("a router has no more in flight at a replica than its limit; the others wait in order", async () => {
    const replica = await lab.replica();
    lab.publish(endpointOf({ b: backendOf([replica], { maxConcurrentQueries: 3 }) }));
    const asked = Array.from({ length: 10 }, (_, index) => lab.ask({ requestId: `q${index}` }));
    await replica.received(3);
    for (let next = 0; next < 10; next += 1) {
      await replica.received(Math.min(10, next + 3));
      expect(replica.queries.length).toBeLessThanOrEqual(next + 3);
      replica.queries[next]!.answer();
    }
    await Promise.all(asked.map((one) => one.outcome));
    expect(replica.queries.map(({ head }) => head.requestId)).toEqual(asked.map((_, index) => `q${index}`));
  });

  test("a raised limit lets waiting queries go", async () => {
    const replica = await lab.replica();
    lab.publish(endpointOf({ b: backendOf([replica], { maxConcurrentQueries: 1 }) }));
    for (let count = 0; count < 5; count += 1) lab.ask();
    await replica.received(1);
    lab.publish(endpointOf({ b: backendOf([replica], { maxConcurrentQueries: 5 }) }));
    await replica.received(5);
  });

  test("beyond the bound of the queue a query fails at once with 503", async () => {
    const replica = await lab.replica();
    lab.publish(endpointOf({ b: backendOf([replica], { maxConcurrentQueries: 1, maxQueuedQueries: 2 }) }));
    const [running, first, second, third] = [lab.ask(), lab.ask(), lab.ask(), lab.ask()];
    expect((await third!.outcome).failure).toMatchObject({
      status: 503,
      code: "queue-full",
      details: { backend: "b" },
    });
    replica.onQuery = answer;
    (await replica.received(1))[0]!.answer();
    expect(await Promise.all([running, first, second].map((one) => codeOf(one!)))).toEqual(
      new Array(3).fill(undefined),
    );
  });

  test("a query that fails at once is told so only after send has returned", async () => {
    lab.publish(endpointOf({ b: backendOf([], { maxQueuedQueries: 0 }) }));
    const asked = lab.ask();
    expect(asked.soFar.ends).toBe(0);
    expect(await codeOf(asked)).toBe("queue-full");
  });

  test("without any replica a query fails with 504 at its deadline, not before", async () => {
    lab.publish(endpointOf({ b: backendOf([]) }));
    const since = lab.clock.now();
    expect((await lab.ask({ timeoutMs: 120 }).outcome).failure).toMatchObject({ status: 504, code: "no-replica" });
    expect(lab.clock.now() - since).toBeGreaterThanOrEqual(120);
  });

  test("an unknown endpoint is 404 when endpoints are known, and 504 when nobody has told any", async () => {
    const early = lab.ask({ timeoutMs: 60 });
    expect(await codeOf(early)).toBe("no-replica");
    lab.publish();
    const { failure } = await lab.ask({ timeoutMs: 60 }).outcome;
    expect(failure).toMatchObject({ status: 404, code: "endpoint-unknown", details: { endpoint: "e" } });
  });
  test("what waits for a replica of an endpoint that is deleted fails at once with 404, not at its deadline", async () => {
    const replica = await lab.replica();
    lab.publish(endpointOf({ b: backendOf([replica], { maxConcurrentQueries: 1 }) }));
    const running = lab.ask();
    await replica.received(1);
    const waiting = lab.ask({ timeoutMs: 600_000 });
    lab.publish();
    expect((await waiting.outcome).failure).toMatchObject({
      ...{ status: 404, code: "endpoint-unknown", details: { endpoint: "e" } },
      message: expect.stringContaining("was deleted"),
    });
    // What runs is finished.
    replica.queries[0]!.answer();
    expect(await codeOf(running)).toBeUndefined();
  });

  test("a router that follows single endpoints says 404 of one only when a controller has answered about it", async () => {
    const answers = ["known", "unknown"].map((_, counter) => ({
      ...{ kind: "news" as const, snapshot: { epoch: 1, counter: counter + 1 }, complete: true },
      ...{ endpoints: [], removed: [] },
    }));
    const subscriptions: unknown[] = [];
    const poll: PollTransport = {
      poll: ({ subscribe }, signal) => {
        if (subscribe === undefined || subscribe.includes("silent" as never)) {
          return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
        }
        subscriptions.push(subscribe);
        return Promise.resolve(answers.shift()!);
      },
      onLeaderChange: () => {},
    };
    const used = new RouterLab({ follow: "used", poll });
    used.router.start();
    try {
      expect(await codeOf(used.ask({ endpoint: "a", timeoutMs: 60 }))).toBe("endpoint-unknown");
      expect(await codeOf(used.ask({ endpoint: "b", timeoutMs: 60 }))).toBe("endpoint-unknown");
      expect(await codeOf(used.ask({ endpoint: "silent", timeoutMs: 60 }))).toBe("no-replica");
      expect(subscriptions).toEqual([["a"], ["a", "b"]]);
    } finally {
      await used.close();
    }
  });
});

describe("deadlines and cancellation", () => {
  test("a deadline that passes while a replica works is 504, and the replica is told", async () => {
    const replica = await lab.replica();
    lab.publish(endpointOf({ b: backendOf([replica], { maxConcurrentQueries: 1 }) }, { spec: { timeoutMs: 100 } }));
    const slow = lab.ask({ timeoutMs: undefined });
    expect((await slow.outcome).failure).toMatchObject({ status: 504, code: "deadline-exceeded" });
    await waitFor("the replica knows", () => replica.queries[0]?.isCancelled, DEADLINE_MS);
    // The slot is free again.
    replica.onQuery = answer;
    expect(await codeOf(lab.ask())).toBeUndefined();
  });

  test("the deadline holds up to the last byte", async () => {
    const replica = await lab.replica({ onQuery: (query) => query.reply({ kind: "items" }, undefined) });
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    const asked = lab.ask({ timeoutMs: 100 });
    expect(await asked.outcome).toMatchObject({ head: { kind: "items" }, failure: { code: "deadline-exceeded" } });
  });

  test("time that was spent waiting is not given again", async () => {
    const replica = await lab.replica();
    lab.publish(endpointOf({ b: backendOf([replica], { maxConcurrentQueries: 1 }) }));
    lab.ask({ requestId: "first", timeoutMs: 5_000 });
    const second = lab.ask({ requestId: "second", timeoutMs: 5_000 });
    await replica.received(1);
    const since = lab.clock.now();
    await waitFor("some time has passed", () => lab.clock.now() - since > 60, DEADLINE_MS);
    replica.queries[0]!.answer();
    const [, query] = await replica.received(2);
    expect(query?.head.timeoutMs).toBeLessThan(4_950);
    second.cancel();
  });

  test("the surrounding deadline wins when it is earlier, and when it has passed nothing is sent", async () => {
    const replica = await lab.replica();
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    lab.ask({ timeoutMs: 5_000, notAfter: lab.clock.now() + 1_000 });
    const [query] = await replica.received(1);
    expect(query?.head.timeoutMs).toBeLessThanOrEqual(1_000);
    expect(await codeOf(lab.ask({ notAfter: lab.clock.now() - 1 }))).toBe("deadline-exceeded");
    expect(replica.queries).toHaveLength(1);
  });

  test("a cancelled query is cancelled at its replica, its slot is free at once, and its answer is not heard", async () => {
    const replica = await lab.replica();
    lab.publish(endpointOf({ b: backendOf([replica], { maxConcurrentQueries: 1 }) }));
    const [running, waiting, next] = [lab.ask(), lab.ask(), lab.ask({ requestId: "next" })];
    const [first] = await replica.received(1);
    waiting.cancel();
    running.cancel();
    const queries = await replica.received(2);
    expect([first!.isCancelled, queries[1]!.head.requestId]).toEqual([true, "next"]);
    first!.answer("too late");
    queries[1]!.answer("in time");
    await next.outcome;
    expect([running.soFar.ends, waiting.soFar.ends, next.soFar.ends]).toEqual([0, 0, 1]);
    expect(lab.router.counts().open).toBe(0);
  });

  test("a query cancelled before its connection is up is never sent", async () => {
    const replica = await lab.replica({ onQuery: answer });
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    lab.ask({ requestId: "gone" }).cancel();
    await lab.ask({ requestId: "stays" }).outcome;
    expect(replica.queries.map(({ head }) => head.requestId)).toEqual(["stays"]);
  });

  test("a replica that lets deadlines pass gets queries only when there is no other", async () => {
    const [stalled, other] = [await lab.replica(), await lab.replica({ onQuery: answer })];
    lab.publish(endpointOf({ b: backendOf([stalled]) }));
    await Promise.all(Array.from({ length: 6 }, () => lab.ask({ timeoutMs: 60 }).outcome));
    const before = stalled.queries.length;
    lab.publish(endpointOf({ b: backendOf([stalled, other]) }));
    await Promise.all(Array.from({ length: 20 }, () => lab.ask().outcome));
    expect([stalled.queries.length, other.queries.length]).toEqual([before, 20]);
  });
});

describe("a replica that refuses", () => {
  /** Lets queries in as a replica does, runs each until it is told to finish one. */
  const strict = (slots: number) => {
    const admission = new Admission(lab.clock, slots);
    const guests = new Map<WireQuery["line"], Guest>();
    const running: WireQuery[] = [];
    return {
      running,
      refusals: 0,
      onQuery(query: WireQuery) {
        const { line } = query;
        const guest = guests.get(line) ?? { ...NO_GUEST, offerSlot: () => line.slot() };
        guests.set(line, guest);
        if (admission.enter(guest)) running.push(query);
        else {
          this.refusals += 1;
          query.refuse("busy");
        }
      },
      finishOne() {
        const query = running.shift();
        if (query === undefined) return;
        query.answer();
        admission.leave();
      },
    };
  };
  const NO_GUEST = { refusals: 0, heldSlots: 0, heldUntil: 0, lastTurn: 0 };

  test("gets the refused query again with the slot that it offers", async () => {
    const gate = strict(1);
    const replica = await lab.replica({ onQuery: (query) => gate.onQuery(query) });
    lab.publish(endpointOf({ b: backendOf([replica], { maxConcurrentQueries: 10 }) }));
    const [first, second] = [lab.ask({ requestId: "first" }), lab.ask({ requestId: "second" })];
    await waitFor("one was refused", () => gate.refusals === 1, DEADLINE_MS);
    gate.finishOne();
    await first.outcome;
    await waitFor("it came again", () => gate.running.length === 1, DEADLINE_MS);
    expect(gate.running[0]!.head.requestId).toBe("second");
    gate.finishOne();
    expect(await codeOf(second)).toBeUndefined();
  });

  test("every query of a flood is answered, each after at most two refusals", async () => {
    const gate = strict(2);
    const replica = await lab.replica({ onQuery: (query) => gate.onQuery(query) });
    lab.publish(endpointOf({ b: backendOf([replica], { maxConcurrentQueries: 50 }) }));
    const asked = Array.from({ length: 100 }, (_, index) => lab.ask({ requestId: `q${index}` }));
    let isOver = false;
    const all = Promise.all(asked.map((one) => one.outcome)).then((outcomes) => {
      isOver = true;
      return outcomes;
    });
    await waitFor(
      "all are answered",
      () => {
        for (let step = 0; step < 5; step += 1) gate.finishOne();
        return isOver;
      },
      DEADLINE_MS * 2,
    );
    expect((await all).filter(({ failure }) => failure !== undefined)).toEqual([]);
    const visits = new Map<string, number>();
    for (const { head } of replica.queries) visits.set(head.requestId, (visits.get(head.requestId) ?? 0) + 1);
    expect(Math.max(...visits.values())).toBeLessThanOrEqual(1 + MAX_REFUSALS_PER_QUERY);
  });

  test("a refused query goes to another replica that has room", async () => {
    const [full, free] = [await lab.replica(), await lab.replica({ onQuery: answer })];
    full.onQuery = (query) => query.refuse("busy");
    lab.publish(endpointOf({ b: backendOf([full]) }));
    const asked = lab.ask();
    await full.received(1);
    lab.publish(endpointOf({ b: backendOf([full, free]) }));
    expect(await codeOf(asked)).toBeUndefined();
    expect([full.queries.length, free.queries.length]).toEqual([1, 1]);
  });

  test("two routers that both want all of one slot get equal parts", async () => {
    const other = new RouterLab();
    try {
      const gate = strict(1);
      const replica = await lab.replica({ onQuery: (query) => gate.onQuery(query) });
      const closure = endpointOf({ b: backendOf([replica], { maxConcurrentQueries: 1 }) });
      let isOver = false;
      const done = [lab, other].map((each) => {
        each.publish(closure);
        let count = 0;
        for (let n = 0; n < 150; n += 1)
          void each.ask({ timeoutMs: 20_000 }).outcome.then(() => (count += isOver ? 0 : 1));
        return () => count;
      });
      const total = () => done[0]!() + done[1]!();
      await waitFor(
        "120 queries are answered",
        () => {
          for (let step = 0; step < 3; step += 1) gate.finishOne();
          return total() >= 120;
        },
        DEADLINE_MS * 3,
      );
      isOver = true;
      const share = done[0]!() / total();
      expect(share).toBeGreaterThan(0.4);
      expect(share).toBeLessThan(0.6);
    } finally {
      await other.close();
    }
  });
});

test("a query asks the controller nothing: all polls together are the one that waits for news (defect 15 of the ancestor)", async () => {
  const requests: unknown[] = [];
  const poll: PollTransport = {
    poll: (request) => {
      requests.push(request);
      return new Promise(() => {});
    },
    onLeaderChange: () => {},
  };
  const polling = new RouterLab({ poll });
  try {
    polling.router.start();
    const replica = await polling.replica({ onQuery: answer });
    polling.publish(endpointOf({ b: backendOf([replica]) }));
    await waitFor("it polls", () => requests.length > 0, DEADLINE_MS);
    expect(await Promise.all(Array.from({ length: 200 }, () => codeOf(polling.ask())))).toEqual(
      Array(200).fill(undefined),
    );
    expect(requests).toHaveLength(1);
  } finally {
    await polling.close();
  }
});

describe("shadows", () => {
  const published = (lines: { primary: Parameters<typeof backendOf>[0]; shadow: Parameters<typeof backendOf>[0] }) =>
    lab.publish(endpointOf({ b: backendOf(lines.primary), s: backendOf(lines.shadow) }, { shadows: { s: 1 } }));

  test("get a copy that says so, of body and head, and their answers are dropped", async () => {
    const [primary, shadow] = [
      await lab.replica({ onQuery: answer }),
      await lab.replica({ backend: "s", onQuery: answer }),
    ];
    published({ primary: [primary], shadow: [shadow] });
    const asked = lab.ask({ body: Uint8Array.of(7), shardKey: "k" });
    await asked.outcome;
    const [copy] = await shadow.received(1);
    expect(copy!.head).toMatchObject({ name: "run", endpoint: "e", requestId: "r-1", shardKey: "k", isShadow: true });
    expect([...copy!.body]).toEqual([7]);
    expect(primary.queries[0]!.head.isShadow).toBe(false);
    expect(asked.soFar.ends).toBe(1);
  });

  test.each([
    ["hangs", () => {}],
    ["dies", (query: WireQuery) => query.line.destroy()],
    ["fails", (query: WireQuery) => query.fail({ status: 500, code: "handler-failed", message: "no" })],
    ["refuses", (query: WireQuery) => query.refuse("busy")],
    ["floods", (query: WireQuery) => query.reply({ kind: "items" }, new Uint8Array(65_536))],
    ["breaks the protocol", (query: WireQuery) => query.line.raw(Buffer.from("garbage garbage garbage"))],
  ])("a shadow that %s is not felt by the primary", async (_what, onQuery) => {
    const [primary, shadow] = [await lab.replica({ onQuery: answer }), await lab.replica({ backend: "s", onQuery })];
    published({ primary: [primary], shadow: [shadow] });
    for (let round = 0; round < 5; round += 1) {
      const asked = Array.from({ length: 200 }, () => lab.ask({ timeoutMs: 4_000 }));
      expect((await Promise.all(asked.map(codeOf))).filter((code) => code !== undefined)).toEqual([]);
    }
    expect(shadow.queries.length).toBeGreaterThan(0);
  });

  test("no replica of the shadow, or an unknown one: the copy is dropped and counted (defect 14 of the ancestor)", async () => {
    const primary = await lab.replica({ onQuery: answer });
    published({ primary: [primary], shadow: [] });
    const codes = await Promise.all(Array.from({ length: 10 }, () => codeOf(lab.ask())));
    expect(codes).toEqual(Array(10).fill(undefined));
    expect(lab.router.counts().shadows).toEqual({ sent: 0, dropped: 10, failed: 0 });
  });

  test("copies in flight are bounded, and each ends with the deadline of its primary", async () => {
    const [primary, shadow] = [await lab.replica({ onQuery: answer }), await lab.replica({ backend: "s" })];
    lab.publish(
      endpointOf(
        {
          b: backendOf([primary], { maxConcurrentQueries: 1_000 }),
          s: backendOf([shadow], { maxConcurrentQueries: 1_000 }),
        },
        { shadows: { s: 1 } },
      ),
    );
    await Promise.all(Array.from({ length: 400 }, () => lab.ask({ timeoutMs: 300 }).outcome));
    expect(lab.router.counts().shadows).toMatchObject({ sent: 256, dropped: 144 });
    await waitFor("the copies have ended", () => lab.router.counts().open === 0, DEADLINE_MS);
    expect(lab.router.counts().shadows.failed).toBe(256);
    await waitFor("the shadow knows", () => shadow.queries.every((query) => query.isCancelled), DEADLINE_MS);
  });
});
