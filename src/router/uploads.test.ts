/** Bodies that are still arriving: what is sent when, what can be sent again, and when their giver may go on. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { backendOf, endpointOf, RouterLab } from "../../tests/harness/router-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import type { WireQuery } from "../../tests/harness/wire-replica.ts";
import { STREAM_WINDOW_BYTES } from "../model/limits.ts";
import { FRAME } from "../model/wire.ts";
import { type BodyGiver, StreamedBody } from "./router.ts";

const DEADLINE_MS = 5_000;

let lab: RouterLab;
beforeEach(() => {
  lab = new RouterLab();
});
afterEach(() => lab.close());

/** Collects what the router says to it. */
class Giver implements BodyGiver {
  readonly heard: string[] = [];
  readonly body = new StreamedBody(this);
  onRoom(): void {
    this.heard.push("room");
  }
  onWanted(): void {
    this.heard.push("wanted");
  }
  onClosed(): void {
    this.heard.push("closed");
  }
}

const bytesOf = (length: number, from = 0) => Buffer.from(Array.from({ length }, (_, index) => (from + index) % 251));
const NOTHING = new Uint8Array(0);
const has = (query: WireQuery, bytes: number) =>
  waitFor(`${bytes} bytes came`, () => query.body.length === bytes, DEADLINE_MS);

describe("a body that is still arriving", () => {
  test("goes on as it comes, waits for credit beyond the window, and asks for more when there is room", async () => {
    const replica = await lab.replica();
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    const giver = new Giver();
    const all = bytesOf(3 * STREAM_WINDOW_BYTES);
    giver.body.add(all.subarray(0, 10), "more");
    const asked = lab.ask({ body: giver.body });
    const query = (await replica.received(1))[0]!;
    expect([query.body.length, query.isWhole]).toEqual([10, false]);
    expect(giver.body.add(all.subarray(10, STREAM_WINDOW_BYTES + 100), "more")).toBe(false);
    await has(query, STREAM_WINDOW_BYTES);
    expect(giver.heard).toEqual([]);
    query.credit(50);
    await has(query, STREAM_WINDOW_BYTES + 50);
    expect(giver.heard).toEqual(["room"]);
    expect(giver.body.add(all.subarray(STREAM_WINDOW_BYTES + 100), "end")).toBe(false);
    query.credit(all.length);
    await waitFor("all is there", () => query.isWhole, DEADLINE_MS);
    expect(query.body.equals(all)).toBe(true);
    query.answer("done");
    expect((await asked.outcome).failure).toBeUndefined();
    expect(giver.heard).toEqual(["room", "room", "closed"]);
  });

  test("ends with an empty frame when its end comes by itself", async () => {
    const replica = await lab.replica({ onQuery: () => {} });
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    const giver = new Giver();
    lab.ask({ body: giver.body });
    const query = (await replica.received(1))[0]!;
    expect([query.body.length, query.isWhole]).toEqual([0, false]);
    query.credit(0);
    await waitFor("the handler waits for it", () => giver.heard.length === 1, DEADLINE_MS);
    expect(giver.heard).toEqual(["wanted"]);
    giver.body.add(NOTHING, "end");
    await waitFor("the end is there", () => query.isWhole, DEADLINE_MS);
    expect(query.line.frameTypes).toEqual([FRAME.HELLO, FRAME.QUERY, FRAME.DATA]);
  });

  test("is sent again from its beginning after a refusal, with what came since", async () => {
    const first = await lab.replica({ onQuery: () => {} });
    lab.publish(endpointOf({ b: backendOf([first]) }));
    const giver = new Giver();
    const all = bytesOf(STREAM_WINDOW_BYTES + 5_000);
    giver.body.add(all.subarray(0, 1_000), "more");
    lab.ask({ body: giver.body });
    const refused = (await first.received(1))[0]!;
    giver.body.add(all.subarray(1_000, 40_000), "more");
    await has(refused, 40_000);
    refused.refuse("busy");
    refused.line.slot();
    const again = (await first.received(2))[1]!;
    await has(again, 40_000);
    giver.body.add(all.subarray(40_000), "end");
    again.credit(10_000);
    await waitFor("all is there", () => again.isWhole, DEADLINE_MS);
    expect(again.body.equals(all)).toBe(true);
  });

  test.each([
    ["runs again on another replica as long as none of it was used", 0, 2],
    ["is with its replica for good once some of it was used", 1, 1],
  ])("of an idempotent query %s", async (_name, credit, runs) => {
    const received: WireQuery[] = [];
    const replicas = [1, 2].map(() => lab.replica({ onQuery: (query) => void received.push(query) }));
    const both = await Promise.all(replicas);
    lab.publish(endpointOf({ b: backendOf(both) }));
    const giver = new Giver();
    giver.body.add(bytesOf(100), "more");
    const asked = lab.ask({ body: giver.body, idempotent: true });
    await waitFor("it is there", () => received.length === 1, DEADLINE_MS);
    received[0]!.credit(credit);
    await waitFor("the credit came", () => credit === 0 || !giver.body.canReplay, DEADLINE_MS);
    received[0]!.line.destroy();
    if (runs === 1) {
      const { failure } = await asked.outcome;
      expect(failure?.code).toBe("replica-lost");
      expect(failure?.message).toContain(
        "(above 64 KiB, or in chunks) is not kept once its handler has used some of it",
      );
      expect(failure?.message).not.toContain("mark the endpoint");
    } else await waitFor("it runs again", () => received.length === 2, DEADLINE_MS);
    expect(received.length).toBe(runs);
  });

  test("is told when its query is over, and what comes then is dropped", async () => {
    const replica = await lab.replica({ onQuery: (query) => query.answer("early") });
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    const giver = new Giver();
    giver.body.add(bytesOf(100), "more");
    await lab.ask({ body: giver.body }).outcome;
    expect(giver.heard).toEqual(["closed"]);
    expect(giver.body.add(bytesOf(200_000), "end")).toBe(true);
    const next = lab.ask();
    await next.outcome;
    expect(replica.lines[0]!.frameTypes).not.toContain(FRAME.DATA);
  });

  test("breaks the connection of a replica that refuses it after it has used some", async () => {
    const replica = await lab.replica({
      onQuery: (query) => {
        query.credit(10);
        query.refuse("busy");
      },
    });
    lab.publish(endpointOf({ b: backendOf([replica]) }));
    const giver = new Giver();
    giver.body.add(bytesOf(100), "more");
    expect((await lab.ask({ body: giver.body }).outcome).failure).toMatchObject({ code: "wire-protocol" });
  });

  test("has no copy for a shadow, and that is counted", async () => {
    const [primary, shadow] = [
      await lab.replica({ onQuery: (query) => query.answer("x") }),
      await lab.replica({ backend: "s" }),
    ];
    lab.publish(endpointOf({ b: backendOf([primary]), s: backendOf([shadow]) }, { shadows: { s: 1 } }));
    const giver = new Giver();
    giver.body.add(bytesOf(100), "end");
    await lab.ask({ body: giver.body }).outcome;
    expect(lab.router.counts().shadows).toEqual({ sent: 0, dropped: 1, failed: 0 });
  });
});
