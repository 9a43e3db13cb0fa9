/** Requests with a stream as body, sent by a handle to the replica role itself. */
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { ReplicaLab } from "../../tests/harness/replica-lab.ts";
import { backendOf, endpointOf, RouterLab } from "../../tests/harness/router-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import { callTracing, createHandle, currentQuery, OpenCall } from "../api/api.ts";
import { createHandleCallers } from "./router.ts";

const DEADLINE_MS = 5_000;

let routers: RouterLab;
const replicas = new ReplicaLab();

beforeEach(() => {
  routers = new RouterLab();
});
afterEach(async () => {
  await routers.close();
  await replicas.close();
});
afterAll(() => replicas.remove());

async function handleOf<T>(exported: T) {
  const { address, file } = await replicas.start({ exports: { default: exported } });
  const { assignment, incarnation } = file;
  routers.publish(endpointOf({ b: backendOf([{ entry: { replica: assignment.actor, incarnation, address } }]) }));
  const callers = createHandleCallers(
    routers.router,
    { openCall: (cancel) => new OpenCall(cancel), currentQuery, ...callTracing },
    { clock: routers.clock, random: { number: () => 0.5, id: () => "abcdefabcdefabcdefabcdef" } },
  );
  return createHandle<T>("e", callers("e"));
}

describe("a handle", () => {
  test("sends a stream as fast as the handler reads it", async () => {
    const gate = Promise.withResolvers<void>();
    let hasBegun = false;
    const handle = await handleOf({
      async fetch(request: Request): Promise<Response> {
        hasBegun = true;
        await gate.promise;
        let bytes = 0;
        for await (const part of request.body!) bytes += part.length;
        return new Response(String(bytes));
      },
    });
    let made = 0;
    const body = ReadableStream.from(
      (async function* () {
        for (; made < 400; made += 1) yield new Uint8Array(100_000);
      })(),
    );
    const answer = handle.fetch("/", { method: "POST", body, duplex: "half" });
    await waitFor("the handler has it", () => hasBegun, DEADLINE_MS);
    expect(made).toBeLessThan(10);
    gate.resolve();
    // More than the largest body in one piece.
    expect(await (await answer).text()).toBe("40000000");
  });

  test("fails with its stream, and an early answer cancels it", async () => {
    const reasons: unknown[] = [];
    const handle = await handleOf({
      async fetch(request: Request): Promise<Response> {
        if (new URL(request.url).pathname === "/early") return new Response("early", { status: 403 });
        await request.bytes().catch((error: unknown) => reasons.push(error));
        return new Response();
      },
    });
    const failing = ReadableStream.from(
      (async function* () {
        yield new Uint8Array(100_000);
        throw new Error("the disk is gone");
      })(),
    );
    const call = handle.fetch("/", { method: "POST", body: failing, duplex: "half" });
    await expect(call).rejects.toThrow("the disk is gone");
    await waitFor("the handler knows", () => reasons.length === 1, DEADLINE_MS);
    let isCancelled = false;
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(50_000)),
      cancel: () => {
        isCancelled = true;
      },
    });
    const early = await handle.fetch("/early", { method: "POST", body: endless, duplex: "half" });
    expect([early.status, await early.text()]).toEqual([403, "early"]);
    await waitFor("the stream is let go", () => isCancelled, DEADLINE_MS);
  });
});
