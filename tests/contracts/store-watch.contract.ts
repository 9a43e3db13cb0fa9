/** Part of the store's contract: watches. */
import { describe, expect, test } from "vitest";
import type { WatchEvent } from "../../src/ports/store.ts";
import type { StoreLab } from "./store-contract.ts";
import { del, deletePrefix, openLab, put, record, replay, revisionOf, run } from "./store-tools.ts";

export function watchContract(open: () => Promise<StoreLab>): void {
  describe("a watch", () => {
    contentContract(open);
    orderContract(open);
    compactionContract(open);
    lifeContract(open);
  });
}

function contentContract(open: () => Promise<StoreLab>): void {
  test("begins with a snapshot, also of nothing", async () => {
    const store = await (await openLab(open)).store();
    const { revision } = await run(store, put("/other", "1"));
    const watch = record(store, "/a/");
    await watch.through(revision);
    expect(watch.events).toStrictEqual([{ kind: "snapshot", revision, entries: [] }]);
  });

  test("tells the entries of its prefix, then their changes, each revision once", async () => {
    const store = await (await openLab(open)).store();
    await run(store, put("/a/1", "one"), put("/a/2", "two"), put("/b", "no"));
    const before = await store.list("/a/");
    const watch = record(store, "/a/");
    await watch.through(before.revision);

    const first = await run(store, put("/a/3", "three"), put("/b", "no"), del("/a/1"));
    await run(store, put("/b", "nothing of the prefix"));
    const last = await run(store, deletePrefix("/a/"));
    await watch.through(last.revision);

    const three = { ...before.entries[1], key: "/a/3", value: "three" };
    expect(watch.events).toStrictEqual([
      { kind: "snapshot", revision: before.revision, entries: before.entries },
      {
        kind: "changes",
        revision: first.revision,
        changes: [
          { kind: "put", entry: { ...three, createRevision: first.revision, modRevision: first.revision, version: 1 } },
          { kind: "delete", key: "/a/1", modRevision: first.revision },
        ],
      },
      {
        kind: "changes",
        revision: last.revision,
        changes: [
          { kind: "delete", key: "/a/2", modRevision: last.revision },
          { kind: "delete", key: "/a/3", modRevision: last.revision },
        ],
      },
    ]);
  });

  test("tells every value of a key, not only its last", async () => {
    const store = await (await openLab(open)).store();
    const { revision } = await run(store, put("/a", "0"));
    for (let value = 1; value <= 5; value += 1) await run(store, put("/a", String(value)));
    const watch = record(store, "/a", { fromRevision: revision });
    await watch.through(revision + 5);
    const entries = watch.changes().map((change) => (change.kind === "put" ? change.entry : undefined));
    expect(entries.map((entry) => entry?.value)).toEqual(["0", "1", "2", "3", "4", "5"]);
    expect(entries.map((entry) => entry?.version)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(new Set(entries.map((entry) => entry?.createRevision))).toEqual(new Set([revision]));
  });

  test("from a revision tells that revision and all later ones, without a snapshot", async () => {
    const store = await (await openLab(open)).store();
    const results = [];
    for (let n = 0; n < 6; n += 1) results.push(await run(store, put(`/a/${n}`, "1")));
    const revisions = results.map((result) => result.revision);
    const watch = record(store, "/a/", { fromRevision: revisions[2] ?? 0 });
    await watch.through(revisions[5] ?? 0);
    expect(watch.events.every((event) => event.kind === "changes")).toBe(true);
    expect(watch.revisions()).toEqual(revisions.slice(2));
  });

  test("from a revision that is yet to come waits for it", async () => {
    const store = await (await openLab(open)).store();
    const now = await revisionOf(store);
    const watch = record(store, "", { fromRevision: now + 3 });
    for (let n = 1; n <= 4; n += 1) await run(store, put("/a", String(n)));
    await watch.through(now + 4);
    expect(watch.revisions()).toEqual([now + 3, now + 4]);
  });
}

function orderContract(open: () => Promise<StoreLab>): void {
  test("hears of another client's commits without being told", async () => {
    const lab = await openLab(open);
    const [watcher, writer] = [await lab.store(), await lab.store()];
    const watch = record(watcher, "/");
    await watch.through(await revisionOf(watcher));
    const { revision } = await run(writer, put("/a", "1"));
    await watch.through(revision);
    expect(watch.revisions()).toEqual([revision]);
  });

  test("looks at once when it is nudged", async () => {
    const lab = await openLab(open);
    const [watcher, writer] = [await lab.store(), await lab.store()];
    const watch = record(watcher, "/");
    for (let n = 0; n < 20; n += 1) {
      const { revision } = await run(writer, put("/a", String(n)));
      watcher.nudge();
      watcher.nudge();
      await watch.through(revision);
    }
    expect(replay(watch.events)).toEqual((await writer.list("/")).entries);
  });

  test("tells every revision once and in order, whoever writes and whenever it begins", async () => {
    const lab = await openLab(open);
    const stores = [await lab.store(), await lab.store()];
    const begin = await revisionOf(await lab.store());
    const watches = stores.map((store) => record(store, "/", { fromRevision: begin + 1 }));
    let late: ReturnType<typeof record> | undefined;

    const revisions: number[] = [];
    await Promise.all(
      stores.map(async (store, client) => {
        for (let n = 0; n < 60; n += 1) {
          const op = n % 5 === 4 ? deletePrefix(`/${client}/`) : put(`/${client}/${n % 7}`, `${n}`);
          revisions.push((await run(store, op)).revision);
          if (client === 0 && n === 20) late = record(store, "/");
          if (client === 1) stores[0]?.nudge();
        }
      }),
    );
    const newest = Math.max(...revisions);
    const state = (await stores[0]?.list("/"))?.entries;
    for (const watch of watches) {
      await watch.through(newest);
      expect(watch.revisions()).toEqual(Array.from({ length: newest - begin }, (_, index) => begin + 1 + index));
      expect(replay(watch.events)).toEqual(state);
    }
    await late?.through(newest);
    const [snapshot, ...changes] = late?.events ?? [];
    expect(snapshot?.kind).toBe("snapshot");
    const from = snapshot?.kind === "snapshot" ? snapshot.revision : 0;
    const expected = Array.from({ length: newest - from }, (_, index) => from + 1 + index);
    expect(changes.map((event) => (event.kind === "changes" ? event.revision : 0))).toEqual(expected);
    expect(replay(late?.events ?? [])).toEqual(state);
  });

  test("tells all of its prefix and nothing else, whoever wrote the revisions between", async () => {
    const lab = await openLab(open);
    const [own, other] = [await lab.store(), await lab.store()];
    const prefixes = ["/a/", '/"\\\n/', "/日本/"];
    const begin = await revisionOf(own);
    const watches = prefixes.map((prefix) => record(own, prefix, { fromRevision: begin + 1 }));
    const expected: number[][] = prefixes.map(() => []);
    for (let n = 0; n < 60; n += 1) {
      const about = n % 5;
      const writer = n % 7 < 4 ? own : other;
      const { revision } = await run(writer, put(`${prefixes[about] ?? "/elsewhere/"}${n % 3}`, '"/a/'));
      expected[about]?.push(revision);
      if (n % 11 === 0) await watches[about]?.through(revision);
    }
    for (const [index, watch] of watches.entries()) {
      await watch.through(expected[index]?.at(-1) ?? 0);
      expect(watch.revisions()).toEqual(expected[index]);
    }
  });
}

function compactionContract(open: () => Promise<StoreLab>): void {
  test("from a forgotten revision answers `compacted` and ends; from the oldest it names it works", async () => {
    const lab = await openLab(open);
    const store = await lab.store();
    const { revision: first } = await run(store, put("/a", "1"));
    for (let n = 0; n < 5; n += 1) await run(store, put("/a", String(n)));
    await lab.compact();

    const watch = record(store, "/", { fromRevision: first });
    await watch.until("the watch is told of the compaction", (events) => events.length > 0);
    const { revision: last } = await run(store, put("/a", "last"));
    const oldest = watch.events[0]?.kind === "compacted" ? watch.events[0].oldestRevision : 0;
    expect(oldest).toBeGreaterThan(first);
    const again = record(store, "/", { fromRevision: oldest });
    await again.through(last);
    expect(again.revisions().at(-1)).toBe(last);
    expect(watch.events).toHaveLength(1);
  });

  test("that has seen everything goes on when its past is forgotten", async () => {
    const lab = await openLab(open);
    const store = await lab.store();
    const watch = record(store, "/");
    const { revision } = await run(store, put("/a", "1"));
    await watch.through(revision);
    await lab.compact();
    const { revision: next } = await run(store, put("/a", "2"));
    await watch.through(next);
    expect(watch.events.some((event) => event.kind === "compacted")).toBe(false);
    expect(replay(watch.events)).toEqual((await store.list("/")).entries);
  });
}

function lifeContract(open: () => Promise<StoreLab>): void {
  test("tells nothing before the call that began it has returned", async () => {
    const store = await (await openLab(open)).store();
    const { revision } = await run(store, put("/a", "1"));
    const order: string[] = [];
    const note = () => order.push("event");
    store.watch("/", note);
    store.watch("/", note, { fromRevision: revision });
    order.push("returned");
    const watch = record(store, "/");
    await watch.through(revision);
    expect(order).toEqual(["returned", "event", "event"]);
  });

  test("tells nothing after it was stopped, not even the events that were ready", async () => {
    const store = await (await openLab(open)).store();
    const { revision } = await run(store, put("/a", "1"));
    for (let n = 0; n < 5; n += 1) await run(store, put("/a", String(n)));
    const seen: WatchEvent[] = [];
    const watch = store.watch(
      "/",
      (event) => {
        seen.push(event);
        if (seen.length === 2) watch.stop();
      },
      { fromRevision: revision },
    );
    const atOnce = record(store, "/");
    atOnce.stop();
    const other = record(store, "/");
    await other.through((await run(store, put("/a", "x"))).revision);
    expect(seen).toHaveLength(2);
    expect(atOnce.events).toHaveLength(0);
    watch.stop();
  });

  test("may write, watch and stop others from its callback", async () => {
    const store = await (await openLab(open)).store();
    let nested: ReturnType<typeof record> | undefined;
    const answers: Promise<unknown>[] = [];
    const victim = record(store, "/");
    const watch = store.watch("/a", (event) => {
      if (event.kind !== "changes" || nested !== undefined) return;
      victim.stop();
      nested = record(store, "/b");
      answers.push(run(store, put("/b", "from the callback")));
    });
    await victim.until("the snapshot is there", (events) => events.length === 1);
    await run(store, put("/a", "1"));
    const seen = record(store, "/b");
    await seen.until("the callback's write is seen", (events) => JSON.stringify(events).includes("from the callback"));
    await Promise.all(answers);
    await nested?.until("the nested watch sees it too", (events) =>
      JSON.stringify(events).includes("from the callback"),
    );
    watch.stop();
    await run(store, put("/c", "1"));
    expect(JSON.stringify(victim.events)).not.toContain("/c");
  });

  test("of a closed client tells nothing", async () => {
    const lab = await openLab(open);
    const [a, b] = [await lab.store(), await lab.store()];
    const watch = record(a, "/");
    await watch.until("the snapshot is there", (events) => events.length === 1);
    await a.close();
    const other = record(b, "/");
    await other.through((await run(b, put("/a", "1"))).revision);
    expect(watch.events).toHaveLength(1);
    a.watch("/", () => expect.unreachable("a closed store tells nothing")).stop();
  });
}
