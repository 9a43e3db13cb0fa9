/**
 * A controller whose calls are timed from inside its own process: from `submit` to the durable answer, without REST. A proxy's place is
 * polled in the same process, by the real long-poll client. Arguments: state folder, size. Each line on stdin, a number, makes so many
 * changes of traffic and answers { ms, storeBytes, txnBytes, pollBytes }: medians of one change.
 */
import { createInterface } from "node:readline";
import { setImmediate } from "node:timers/promises";
import { openSqliteStore } from "../../src/adapters/sqlite-store.ts";
import { createSystemClock } from "../../src/adapters/system-clock.ts";
import { Controller } from "../../src/controller/controller.ts";
import { LongPollClient } from "../../src/longpoll/longpoll.ts";
import type { GoalId } from "../../src/model/ids.ts";
import { keysOf } from "../../src/model/keys.ts";
import { stateFiles } from "../../src/model/places.ts";
import type { PollTransport } from "../../src/ports/poll-transport.ts";
import type { Store, Txn } from "../../src/ports/store.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import { median } from "../measure.ts";
import { backendTag, controllerOptions, controllerPorts, endpointTag, INSTANCE, INSTANCE_ID, silent } from "./seed.ts";
import { NODE, SimAgent } from "./sim-agent.ts";

const START_DEADLINE_MS = 60_000;
const CALL_DEADLINE_MS = 10_000;

/** Turns of the event loop: a commit, a nudge and a watch's reading take one each. */
const LEFTOVER_TURNS = 5;

const [stateDir = "", size = "10"] = process.argv.slice(2);
const clock = createSystemClock();

/** Bytes of keys and values that transactions write, and that polls carry both ways. */
const counted = { txns: [] as number[], poll: 0 };

const bytesOf = ({ then }: Txn): number =>
  then.reduce(
    (sum, op) => sum + ("key" in op ? op.key.length : 0) + (op.kind === "put" ? Buffer.byteLength(op.value) : 0),
    0,
  );

const counting = (store: Store): Store => ({
  get: (key) => store.get(key),
  list: (prefix) => store.list(prefix),
  txn: (txn) => {
    counted.txns.push(bytesOf(txn));
    return store.txn(txn);
  },
  watch: (prefix, onEvent, options) => store.watch(prefix, onEvent, options),
  lease: (ttlMs) => store.lease(ttlMs),
  revokeLease: (id) => store.revokeLease(id),
  nudge: () => store.nudge(),
  close: () => store.close(),
});

const store = openSqliteStore({ path: stateFiles(stateDir).store, clock, onCommit: () => agent.store.nudge() });
const agent = new SimAgent({
  stateDir,
  clock,
  instance: INSTANCE,
  instanceId: INSTANCE_ID,
  onCommit: () => store.nudge(),
});
let leads = false;
const controller = new Controller(controllerPorts(counting(store), clock), controllerOptions(), {
  onLead: () => (leads = true),
  onStandstill: () => {},
  onLost: () => process.exit(1),
  onFailed: () => process.exit(1),
});
const transport: PollTransport = {
  poll: async (request, signal) => {
    const answer = await controller.poll(request, signal);
    counted.poll += JSON.stringify(request).length + JSON.stringify(answer).length;
    return answer;
  },
  onLeaderChange: () => {},
};

const proxyName = async (): Promise<string> => {
  const { entries } = await store.list(`${keysOf(INSTANCE).assignsOf(NODE)}proxy#`);
  return entries[0]?.key.split("/").at(-1) ?? "";
};

await agent.start();
controller.start();
await waitFor("the controller leads", () => leads, START_DEADLINE_MS);
const proxy = new LongPollClient(
  { transport, clock, log: silent },
  { client: "proxy", kind: "proxy", name: await proxyName(), apply: () => {}, loads: () => ({}) },
);
proxy.follow("all");
proxy.start();
await waitFor("the proxy knows everything", () => proxy.applied.counter > 0, START_DEADLINE_MS);

let calls = 0;
const endpoint = Math.floor(Number(size) / 2);

const setTraffic = async (): Promise<{ ms: number; txnBytes: number; storeBytes: number; pollBytes: number }> => {
  calls += 1;
  const goalId = `traffic-${process.pid}-${calls}` as GoalId;
  const share = calls % 2 === 0 ? 0.25 : 0.75;
  const traffic = { [backendTag(endpoint)]: share, [backendTag(endpoint + 1)]: 1 - share };
  // What the last call leaves to agents and routers, which are processes of their own but here, is done before this one is timed.
  for (let turn = 0; turn < LEFTOVER_TURNS; turn += 1) await setImmediate();
  counted.txns = [];
  counted.poll = 0;
  const startedAt = performance.now();
  await controller.submit({ kind: "setTraffic", goalId, tag: endpointTag(endpoint), traffic });
  const ms = performance.now() - startedAt;
  await controller.waitForGoal(goalId, CALL_DEADLINE_MS, AbortSignal.timeout(CALL_DEADLINE_MS));
  // The transaction of the call itself is the first one: the goal settles in a later one.
  const [txnBytes = 0] = counted.txns;
  return { ms, txnBytes, storeBytes: counted.txns.reduce((sum, bytes) => sum + bytes, 0), pollBytes: counted.poll };
};

const measure = async (count: number) => {
  const one: Awaited<ReturnType<typeof setTraffic>>[] = [];
  for (let index = 0; index < count; index += 1) one.push(await setTraffic());
  const of = (what: "ms" | "txnBytes" | "storeBytes" | "pollBytes") => median(one.map((it) => it[what]));
  return { ms: of("ms"), txnBytes: of("txnBytes"), storeBytes: of("storeBytes"), pollBytes: of("pollBytes") };
};

process.stdout.write("{}\n");
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await measure(Number(line)))}\n`);
}
process.exit(0);
