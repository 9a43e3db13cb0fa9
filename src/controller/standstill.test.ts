/** A controller whose store takes no writes for a while, as on a full disk. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { createBackend } from "../../tests/harness/calls.ts";
import { ControllerLab } from "../../tests/harness/controller-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import { ServeError } from "../base/serve-error.ts";
import type { Lease, Store } from "../ports/store.ts";

const DEADLINE_MS = 10_000;

let lab: ControllerLab;
beforeEach(() => {
  lab = new ControllerLab({ speed: 3 });
});
afterEach(async () => {
  disk.isFull = false;
  await lab.close();
});

const disk = { isFull: false };
const write = <T>(make: () => Promise<T>): Promise<T> =>
  disk.isFull ? Promise.reject(new ServeError("store-unavailable", "The disk is full. Free some space.")) : make();

const onDisk = (store: Store): Store => ({
  get: (key) => store.get(key),
  list: (prefix) => store.list(prefix),
  watch: (prefix, onEvent, options) => store.watch(prefix, onEvent, options),
  nudge: () => store.nudge(),
  close: () => store.close(),
  txn: (txn) => write(() => store.txn(txn)),
  revokeLease: (id) => write(() => store.revokeLease(id)),
  lease: (ttlMs) => write(async () => leaseOnDisk(await store.lease(ttlMs))),
});

const leaseOnDisk = (lease: Lease): Lease => ({
  id: lease.id,
  deadline: () => lease.deadline(),
  keepAlive: () => write(() => lease.keepAlive()),
  revoke: () => write(() => lease.revoke()),
});

test("whoever asks is told why, what is saved can be read, and it leads again when writes are taken", async () => {
  await lab.startAgent();
  const controller = await lab.lead({ through: onDisk });
  const [running] = lab.controllers;
  await lab.settle(controller, createBackend("b"));

  disk.isFull = true;
  const refusal = { code: "store-unavailable", message: expect.stringContaining("Free some space."), retryable: true };
  await expect(lab.submit(controller, createBackend("c"))).rejects.toMatchObject(refusal);
  await waitFor("it stands still", () => running?.standstills.length === 1, DEADLINE_MS);
  await expect(lab.submit(controller, createBackend("c"))).rejects.toMatchObject(refusal);
  expect(() => controller.goal("lab-1")).toThrow(/Free some space\. Until then no change can be made/);
  expect(await controller.status()).toMatchObject({
    problem: expect.stringContaining("Free some space."),
    backends: [{ tag: "b", replicas: { wanted: 1, running: 1 } }],
  });

  disk.isFull = false;
  await waitFor("it leads again", () => running?.epochs.length === 2, DEADLINE_MS);
  expect((await lab.settle(controller, createBackend("c"))).state).toBe("reached");
  expect((await controller.status()).problem).toBeUndefined();
  expect(running?.failures).toEqual([]);
});

test("it is noticed though nobody wants a change", async () => {
  const controller = await lab.lead({ through: onDisk });
  const [running] = lab.controllers;
  disk.isFull = true;
  await waitFor("it stands still", () => running?.standstills.length === 1, DEADLINE_MS);
  expect(running?.ends).toEqual(["lease-lost"]);
  disk.isFull = false;
  await waitFor("it leads again", () => running?.epochs.length === 2, DEADLINE_MS);
  expect(controller.isLeading()).toBe(true);
});
