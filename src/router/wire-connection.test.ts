/** The life of a connection, on real sockets and a clock that the test moves. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ManualClock } from "../../tests/harness/manual-clock.ts";
import { backendOf, endpointOf, RouterLab } from "../../tests/harness/router-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import { WIRE_HELLO_TIMEOUT_MS, WIRE_IDLE_MS } from "../model/limits.ts";
import { FRAME } from "../model/wire.ts";

const DEADLINE_MS = 5_000;

let clock: ManualClock;
let lab: RouterLab;
beforeEach(() => {
  clock = new ManualClock();
  lab = new RouterLab({ clock });
});
afterEach(() => lab.close());

const LONG = { timeoutMs: 10 * WIRE_IDLE_MS };

describe("a connection", () => {
  test("is made by the first query, kept for the next, closed when it is idle, and made again", async () => {
    const replica = await lab.replica({ onQuery: (query) => query.answer() });
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    expect(replica.lines).toHaveLength(0);
    await lab.ask(LONG).outcome;
    clock.advance(WIRE_IDLE_MS - 1);
    await lab.ask(LONG).outcome;
    clock.advance(WIRE_IDLE_MS);
    expect(replica.open).toHaveLength(1);
    clock.advance(WIRE_IDLE_MS);
    await waitFor("it is closed", () => replica.open.length === 0, DEADLINE_MS);
    await lab.ask(LONG).outcome;
    expect(replica.lines).toHaveLength(2);
    expect(lab.log.lines).toEqual([]);
  });

  test("with a query that takes long is not idle", async () => {
    const replica = await lab.replica();
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    const asked = lab.ask(LONG);
    const [query] = await replica.received(1);
    clock.advance(5 * WIRE_IDLE_MS);
    expect(replica.open).toHaveLength(1);
    query!.answer();
    expect((await asked.outcome).failure).toBeUndefined();
  });

  test("on which no HELLO comes is given up, and its query goes elsewhere", async () => {
    const [mute, other] = [
      await lab.replica({ silent: true }),
      await lab.replica({ onQuery: (query) => query.answer() }),
    ];
    lab.publish(endpointOf({ b: backendOf([mute]) }));
    const asked = lab.ask(LONG);
    await waitFor("the mute one was reached", () => mute.lines[0]?.hello, DEADLINE_MS);
    lab.publish(endpointOf({ b: backendOf([mute, other]) }));
    clock.advance(WIRE_HELLO_TIMEOUT_MS);
    expect((await asked.outcome).failure).toBeUndefined();
    expect([mute.queries.length, other.queries.length]).toEqual([0, 1]);
  });

  test("answers a PING", async () => {
    const replica = await lab.replica();
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    lab.ask(LONG);
    await replica.received(1);
    const [line] = replica.lines;
    line!.writer.ping();
    line!.flush();
    await waitFor("a PONG came", () => line!.frameTypes.includes(FRAME.PONG), DEADLINE_MS);
  });

  test("that its idle replica closes is nobody's failure", async () => {
    const replica = await lab.replica({ onQuery: (query) => query.answer() });
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    await lab.ask(LONG).outcome;
    replica.lines[0]!.destroy();
    await waitFor("it is closed", () => replica.open.length === 0, DEADLINE_MS);
    expect((await lab.ask(LONG).outcome).failure).toBeUndefined();
    expect(lab.log.lines).toEqual([]);
  });

  test("carries the queries of one turn in one piece", async () => {
    const replica = await lab.replica({ onQuery: (query) => query.answer() });
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    await lab.ask(LONG).outcome;
    const before = replica.lines[0]!.chunks;
    await Promise.all(Array.from({ length: 50 }, () => lab.ask(LONG).outcome));
    expect(replica.lines[0]!.chunks - before).toBe(1);
  });
});
