/** Part of the store's contract: leases. Times are those of the implementation's shortest lease; nothing here is timed. */
import { describe, expect, test } from "vitest";
import type { LeaseId } from "../../src/ports/store.ts";
import { waitFor } from "../harness/wait-for.ts";
import type { StoreLab } from "./store-contract.ts";
import { codeOf, keysUnder, openLab, put, record, revisionOf, run, WAIT_MS } from "./store-tools.ts";

/** Never runs out while a test runs. */
const LONG_MS = 60_000;

export function leaseContract(open: () => Promise<StoreLab>): void {
  describe("a lease", () => {
    attachContract(open);
    revokeContract(open);
    expiryContract(open);
  });
}

function attachContract(open: () => Promise<StoreLab>): void {
  test("stands in the keys that live by it", async () => {
    const lab = await openLab(open);
    const store = await lab.store();
    const lease = await store.lease(LONG_MS);
    await run(store, put("/a", "1", lease.id));
    expect((await store.get("/a"))?.lease).toBe(lease.id);
    expect((await store.list("/")).entries[0]?.lease).toBe(lease.id);
    const watch = record(await lab.store(), "/");
    await watch.until("there is a snapshot", (events) => events.length === 1);
    expect(watch.events[0]).toMatchObject({ entries: [{ key: "/a", lease: lease.id }] });
  });

  test("is neither granted nor renewed with a revision", async () => {
    const store = await (await openLab(open)).store();
    const before = await revisionOf(store);
    const lease = await store.lease(LONG_MS);
    await lease.keepAlive();
    await lease.revoke();
    expect(await revisionOf(store)).toBe(before);
  });

  test("has a deadline that renewing moves on", async () => {
    const lab = await openLab(open);
    const lease = await (await lab.store()).lease(LONG_MS);
    const first = lease.deadline();
    expect(first).toBeGreaterThan(lab.now());
    expect(first).toBeLessThanOrEqual(lab.now() + LONG_MS);
    expect(await lease.keepAlive()).toBe(true);
    expect(lease.deadline()).toBeGreaterThan(first);
    expect(lease.deadline()).toBeLessThanOrEqual(lab.now() + LONG_MS);
  });

  test("lets go of a key that is put without it or with another", async () => {
    const store = await (await openLab(open)).store();
    const [first, second] = [await store.lease(LONG_MS), await store.lease(LONG_MS)];
    await run(store, put("/kept", "1", first.id), put("/moved", "1", first.id), put("/lost", "1", first.id));
    await run(store, put("/kept", "2"), put("/moved", "2", second.id));
    expect((await store.get("/kept"))?.lease).toBeUndefined();
    await first.revoke();
    expect(await keysUnder(store, "/")).toEqual(["/kept", "/moved"]);
    await second.revoke();
    expect(await keysUnder(store, "/")).toEqual(["/kept"]);
  });

  test("that is gone or unknown takes no keys, and the whole transaction is refused", async () => {
    const store = await (await openLab(open)).store();
    const lease = await store.lease(LONG_MS);
    await lease.revoke();
    const before = await revisionOf(store);
    expect(await codeOf(run(store, put("/a", "1"), put("/b", "1", lease.id)))).toBe("lease-lost");
    expect(await revisionOf(store)).toBe(before);
    expect(await store.get("/a")).toBeUndefined();
  });

  test("that is gone matters only in the branch that runs", async () => {
    const store = await (await openLab(open)).store();
    const lease = await store.lease(LONG_MS);
    await lease.revoke();
    const result = await store.txn({ compare: [], then: [put("/a", "1")], else: [put("/a", "1", lease.id)] });
    expect(result.succeeded).toBe(true);
  });
}

function revokeContract(open: () => Promise<StoreLab>): void {
  test("takes its keys along when it is revoked, in one revision that watches see", async () => {
    const lab = await openLab(open);
    const [store, other] = [await lab.store(), await lab.store()];
    const lease = await store.lease(LONG_MS);
    const { revision } = await run(store, put("/b", "1", lease.id), put("/a", "1", lease.id), put("/c", "1"));
    const watch = record(other, "/", { fromRevision: revision + 1 });
    await lease.revoke();
    await watch.through(revision + 1);
    expect(watch.events).toEqual([
      {
        kind: "changes",
        revision: revision + 1,
        changes: [
          { kind: "delete", key: "/a", modRevision: revision + 1 },
          { kind: "delete", key: "/b", modRevision: revision + 1 },
        ],
      },
    ]);
    expect(await keysUnder(other, "/")).toEqual(["/c"]);
  });

  test("is lost to its holder once revoked, by whomever", async () => {
    const lab = await openLab(open);
    const [store, other] = [await lab.store(), await lab.store()];
    const own = await store.lease(LONG_MS);
    await own.revoke();
    expect(own.deadline()).toBeLessThan(lab.now());
    expect(await own.keepAlive()).toBe(false);

    const taken = await store.lease(LONG_MS);
    await run(store, put("/leader", "me", taken.id));
    await other.revokeLease((await other.get("/leader"))?.lease as LeaseId);
    expect(await store.get("/leader")).toBeUndefined();
    expect(await taken.keepAlive()).toBe(false);
    expect(taken.deadline()).toBeLessThan(lab.now());
  });

  test("is lost once revoked, also when a renewal was under way", async () => {
    const lab = await openLab(open);
    const lease = await (await lab.store()).lease(LONG_MS);
    const renewal = lease.keepAlive();
    await lease.revoke();
    await renewal;
    expect(lease.deadline()).toBeLessThan(lab.now());
  });

  test("that is gone already may be revoked again, by holder and id", async () => {
    const store = await (await openLab(open)).store();
    const lease = await store.lease(LONG_MS);
    await lease.revoke();
    const before = await revisionOf(store);
    await lease.revoke();
    await store.revokeLease(lease.id);
    expect(await revisionOf(store)).toBe(before);
  });
}

function expiryContract(open: () => Promise<StoreLab>): void {
  test("that nobody renews ends by itself: its keys go, watches see it, its holder cannot revive it", async () => {
    const lab = await openLab(open);
    const [store, other] = [await lab.store(), await lab.store()];
    const lease = await store.lease(lab.shortestLeaseMs);
    const { revision } = await run(store, put("/a", "1", lease.id), put("/b", "1", lease.id));
    const early: number[] = [];
    other.watch(
      "/",
      () => {
        if (lab.now() < lease.deadline()) early.push(lab.now());
      },
      { fromRevision: revision + 1 },
    );
    const watch = record(other, "/", { fromRevision: revision + 1 });
    await watch.through(revision + 1);
    expect(watch.changes().map((change) => change.kind)).toEqual(["delete", "delete"]);
    expect(early).toEqual([]);
    expect(await keysUnder(store, "/")).toEqual([]);
    expect(await lease.keepAlive()).toBe(false);
    expect(lease.deadline()).toBeLessThan(lab.now());
    expect(await codeOf(run(store, put("/a", "1", lease.id)))).toBe("lease-lost");
  });

  test("lives on while it is renewed, beyond its first end", async () => {
    const lab = await openLab(open);
    const store = await lab.store();
    const lease = await store.lease(lab.shortestLeaseMs);
    const { revision } = await run(store, put("/a", "1", lease.id));
    const end = lease.deadline() + lab.shortestLeaseMs;
    await waitFor(
      "the first end is long past",
      async () => {
        expect(await lease.keepAlive()).toBe(true);
        return lab.now() > end;
      },
      WAIT_MS,
    );
    expect(await store.get("/a")).toMatchObject({ modRevision: revision });
  });

  test("that has run out gives its key to the next candidate, once", async () => {
    const lab = await openLab(open);
    const stores = [await lab.store(), await lab.store(), await lab.store()];
    const [first] = stores;
    const lease = await first?.lease(lab.shortestLeaseMs);
    await first?.txn({ compare: [], then: [put("/leader", "first", lease?.id)] });
    const won: number[] = [];
    await Promise.all(
      stores.map(async (store, candidate) => {
        await waitFor(
          "there is a new leader",
          async () => {
            const { succeeded } = await store.txn({
              compare: [{ kind: "absent", key: "/leader" }],
              then: [put("/leader", String(candidate))],
            });
            if (succeeded) won.push(candidate);
            return won.length > 0;
          },
          WAIT_MS,
        );
      }),
    );
    expect(won).toHaveLength(1);
    expect((await first?.get("/leader"))?.value).toBe(String(won[0]));
  });
}
