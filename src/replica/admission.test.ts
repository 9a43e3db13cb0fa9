/** `maxConcurrentQueries`: what is refused, and who gets the next slot. */
import { afterAll, afterEach, expect, test } from "vitest";
import { ReplicaLab } from "../../tests/harness/replica-lab.ts";
import { httpHead, textOf, type WireClient } from "../../tests/harness/wire-client.ts";
import { createSystemClock } from "../adapters/system-clock.ts";

const lab = new ReplicaLab();
afterEach(() => lab.close());
afterAll(() => lab.remove());

/** A backend whose queries end when the test says so. */
function gated() {
  const waiting: (() => void)[] = [];
  const state = { running: 0, most: 0, started: 0 };
  return {
    state,
    door: async () => {
      state.running += 1;
      state.started += 1;
      state.most = Math.max(state.most, state.running);
      await new Promise<void>((resolve) => waiting.push(resolve));
      state.running -= 1;
      return "done";
    },
    open: () => {
      for (const resolve of waiting.splice(0)) resolve();
    },
  };
}

test("queries above the limit are refused before their handler starts", async () => {
  const gate = gated();
  const started = await lab.start({ exports: { default: gate.door }, config: { maxConcurrentQueries: 2 } });
  const client = await started.connect();
  const sent = [1, 2, 3, 4].map(() => client.send(httpHead()));
  expect((await sent[2]!.answer).refused).toBe("busy");
  expect((await sent[3]!.answer).refused).toBe("busy");
  expect(gate.state.started).toBe(2);
  gate.open();
  expect(textOf(await sent[0]!.answer)).toBe("done");
  expect(gate.state.most).toBe(2);
});

test("each refusal is answered by one slot, which is held for its router", async () => {
  const gate = gated();
  const system = createSystemClock();
  // The slot is held long enough for a machine that does other work too.
  const clock = { ...system, after: (ms: number, run: () => void) => system.after(100 * ms, run) };
  const started = await lab.start({ exports: { default: gate.door }, config: { maxConcurrentQueries: 1 }, clock });
  const first = await started.connect();
  const second = await started.connect();
  const running = first.send(httpHead());
  expect((await second.send(httpHead()).answer).refused).toBe("busy");
  // In the same turn in which the slot is offered the first router asks for another: it is too late.
  const stolen = Promise.withResolvers<string | undefined>();
  second.onSlot = () => void first.send(httpHead()).answer.then(({ refused }) => stolen.resolve(refused));
  gate.open();
  await running.answer;
  expect(await stolen.promise).toBe("busy");
  expect(second.slots).toBe(1);
  const next = second.send(httpHead());
  await expect.poll(() => gate.state.running).toBe(1);
  gate.open();
  expect(textOf(await next.answer)).toBe("done");
});

test("a slot that its router does not use goes to the next", async () => {
  const gate = gated();
  const started = await lab.start({ exports: { default: gate.door }, config: { maxConcurrentQueries: 1 } });
  const [first, silent, third] = [await started.connect(), await started.connect(), await started.connect()];
  const running = first.send(httpHead());
  await silent.send(httpHead()).answer;
  await third.send(httpHead()).answer;
  gate.open();
  await running.answer;
  await expect.poll(() => third.slots).toBe(1);
  expect(silent.slots).toBe(1);
  const next = third.send(httpHead());
  await expect.poll(() => gate.state.running).toBe(1);
  gate.open();
  expect(textOf(await next.answer)).toBe("done");
});

test("two routers that both want all of a limit of 1 get 40 to 60 % each", async () => {
  const started = await lab.start({
    exports: { default: () => new Promise((resolve) => setImmediate(resolve, "x")) },
    config: { maxConcurrentQueries: 1 },
  });
  const clients = [await started.connect(), await started.connect()];
  const served = await saturate(clients, 2_000);
  for (const count of served) expect(count / 2_000).toBeGreaterThan(0.4);
});

test("a raised limit lets the waiting in at once", async () => {
  const gate = gated();
  const started = await lab.start({ exports: { default: gate.door }, config: { maxConcurrentQueries: 1 } });
  const client = await started.connect();
  client.send(httpHead());
  await client.send(httpHead()).answer;
  const { assignment } = started.file;
  if (assignment.spec.kind !== "replica") throw new Error("not a replica");
  started.link.events.onConfigure?.(2, { ...assignment.spec.config, maxConcurrentQueries: 2 });
  await expect.poll(() => client.slots).toBe(1);
  client.send(httpHead());
  await expect.poll(() => gate.state.running).toBe(2);
  gate.open();
});

/** Each client keeps asking: after a refusal with its slot, after an answer at once. Answers how many each was served. */
function saturate(clients: readonly WireClient[], total: number): Promise<number[]> {
  const served = clients.map(() => 0);
  const { promise, resolve } = Promise.withResolvers<number[]>();
  const ask = (index: number): void => {
    const client = clients[index]!;
    void client.send(httpHead()).answer.then(({ refused }) => {
      if (refused !== undefined) return;
      served[index] = served[index]! + 1;
      if (served.reduce((sum, count) => sum + count, 0) >= total) resolve(served);
      else ask(index);
    });
  };
  clients.forEach((client, index) => {
    client.onSlot = () => ask(index);
    // The first is far ahead of the second, and would stay so if nobody took care.
    for (let count = 0; count < (index === 0 ? 8 : 1); count += 1) ask(index);
  });
  return promise;
}
