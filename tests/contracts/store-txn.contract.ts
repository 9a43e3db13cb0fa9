/** Part of the store's contract: transactions, reads, revisions, limits. */
import { describe, expect, test } from "vitest";
import { MAX_TXN_BYTES, MAX_TXN_OPS, MAX_VALUE_BYTES } from "../../src/model/store-limits.ts";
import type { Compare, Store } from "../../src/ports/store.ts";
import type { StoreLab } from "./store-contract.ts";
import { codeOf, del, deletePrefix, get, keysUnder, openLab, put, revisionOf, run } from "./store-tools.ts";

export function txnContract(open: () => Promise<StoreLab>): void {
  const openStore = async (): Promise<Store> => (await openLab(open)).store();
  describe("a key", () => keyContract(openStore));
  describe("a transaction", () => transactionContract(openStore));
  describe("a listing", () => listContract(openStore));
  describe("limits", () => limitContract(openStore));
  describe("several clients", () => clientContract(open));
}

function keyContract(openStore: () => Promise<Store>): void {
  test("that was never written is absent", async () => {
    const store = await openStore();
    expect(await store.get("/a")).toBeUndefined();
  });

  test("has the revision of its first put as its create revision, and version 1", async () => {
    const store = await openStore();
    const { revision } = await run(store, put("/a", "1"));
    expect(await store.get("/a")).toStrictEqual({
      key: "/a",
      value: "1",
      createRevision: revision,
      modRevision: revision,
      version: 1,
      lease: undefined,
    });
  });

  test("keeps its create revision and counts its versions", async () => {
    const store = await openStore();
    const first = await run(store, put("/a", "1"));
    await run(store, put("/other", "1"));
    const third = await run(store, put("/a", "3"));
    expect(await store.get("/a")).toMatchObject({
      value: "3",
      createRevision: first.revision,
      modRevision: third.revision,
      version: 2,
    });
  });

  test("starts anew after its deletion", async () => {
    const store = await openStore();
    await run(store, put("/a", "1"));
    await run(store, put("/a", "2"));
    await run(store, del("/a"));
    expect(await store.get("/a")).toBeUndefined();
    const { revision } = await run(store, put("/a", "3"));
    expect(await store.get("/a")).toMatchObject({ createRevision: revision, modRevision: revision, version: 1 });
  });

  test("and its value hold every character", async () => {
    const store = await openStore();
    const text = "\0\u0001\t\n\"'\\%_é\uffff\u{10ffff}日本😀";
    await run(store, put(text, text));
    expect(await store.get(text)).toMatchObject({ key: text, value: text });
    expect(await keysUnder(store, text)).toEqual([text]);
  });

  test("may have an empty value", async () => {
    const store = await openStore();
    await run(store, put("/a", ""));
    expect(await store.get("/a")).toMatchObject({ value: "" });
  });
}

function transactionContract(openStore: () => Promise<Store>): void {
  test("that changes something raises the revision by one, however much it changes", async () => {
    const store = await openStore();
    const before = await revisionOf(store);
    const { revision } = await run(store, put("/a", "1"), put("/b", "1"), del("/c"));
    expect(revision).toBe(before + 1);
    expect((await run(store, deletePrefix("/"), put("b", "2"))).revision).toBe(before + 2);
  });

  test("that changes nothing leaves the revision", async () => {
    const store = await openStore();
    const { revision } = await run(store, put("/a", "1"));
    expect(await run(store)).toEqual({ succeeded: true, revision, gets: [] });
    expect((await run(store, get("/a"))).revision).toBe(revision);
    expect((await run(store, del("/absent"), deletePrefix("/none/"))).revision).toBe(revision);
    expect(await revisionOf(store)).toBe(revision);
  });

  test("that puts an equal value changes something", async () => {
    const store = await openStore();
    const { revision } = await run(store, put("/a", "1"));
    expect((await run(store, put("/a", "1"))).revision).toBe(revision + 1);
    expect(await store.get("/a")).toMatchObject({ version: 2, modRevision: revision + 1 });
  });

  test("answers its gets in order, each as the ops before it left the key", async () => {
    const store = await openStore();
    await run(store, put("/a", "old"), put("/b", "b"));
    const { gets } = await run(store, get("/a"), get("/absent"), put("/a", "new"), get("/a"), del("/b"), get("/b"));
    expect(gets.map((entry) => entry?.value)).toEqual(["old", undefined, "new", undefined]);
  });

  test("deletes exactly the keys under a prefix", async () => {
    const store = await openStore();
    const others = ["/a", "/a.", "/a0", "/A/1", "/b/1"];
    const under = ["/a/", "/a/1", "/a/é", "/a/\u{10ffff}"];
    await run(store, ...[...others, ...under].map((key) => put(key, "1")));
    const { gets } = await run(store, deletePrefix("/a/"), get("/a/1"), get("/a0"));
    expect(gets.map((entry) => entry?.key)).toEqual([undefined, "/a0"]);
    expect(await keysUnder(store, "")).toEqual([...others].sort());
  });

  test("deletes everything under the empty prefix", async () => {
    const store = await openStore();
    await run(store, put("/a", "1"), put("\u{10ffff}", "1"), put("\0", "1"));
    await run(store, deletePrefix(""));
    expect(await keysUnder(store, "")).toEqual([]);
  });

  test.each<{ readonly name: string; readonly compare: (modRevision: number) => Compare; readonly holds: boolean }>([
    { name: "absent, of an absent key", compare: () => ({ kind: "absent", key: "/none" }), holds: true },
    { name: "absent, of a present key", compare: () => ({ kind: "absent", key: "/a" }), holds: false },
    {
      name: "modRevision, equal",
      compare: (mod) => ({ kind: "modRevision", key: "/a", equals: mod }),
      holds: true,
    },
    {
      name: "modRevision, of an older state",
      compare: (mod) => ({ kind: "modRevision", key: "/a", equals: mod - 1 }),
      holds: false,
    },
    {
      name: "createRevision, equal",
      compare: (mod) => ({ kind: "createRevision", key: "/a", equals: mod - 1 }),
      holds: true,
    },
    {
      name: "createRevision, of another life",
      compare: (mod) => ({ kind: "createRevision", key: "/a", equals: mod }),
      holds: false,
    },
    {
      name: "revisions 0 of an absent key",
      compare: () => ({ kind: "createRevision", key: "/none", equals: 0 }),
      holds: true,
    },
    {
      name: "modRevision of an absent key",
      compare: () => ({ kind: "modRevision", key: "/none", equals: 1 }),
      holds: false,
    },
  ])("compares $name: $holds", async ({ compare, holds }) => {
    const store = await openStore();
    await run(store, put("/a", "1"));
    const { revision } = await run(store, put("/a", "2"));
    const result = await store.txn({
      compare: [compare(revision)],
      then: [put("/ran", "then"), get("/ran")],
      else: [put("/ran", "else"), get("/ran")],
    });
    expect(result.succeeded).toBe(holds);
    expect(result.gets[0]?.value).toBe(holds ? "then" : "else");
    expect(result.revision).toBe(revision + 1);
  });

  test("succeeds only when every compare holds, and compares before it writes", async () => {
    const store = await openStore();
    const absent = (key: string): Compare => ({ kind: "absent", key });
    await run(store, put("/b", "1"));
    const refused = await store.txn({ compare: [absent("/a"), absent("/b")], then: [put("/a", "1")] });
    expect(refused).toMatchObject({ succeeded: false, gets: [] });
    expect(await store.get("/a")).toBeUndefined();
    expect(await store.txn({ compare: [absent("/a")], then: [put("/a", "1")] })).toMatchObject({ succeeded: true });
  });

  test("may delete a key twice", async () => {
    const store = await openStore();
    await run(store, put("/a/1", "1"), put("/a/2", "1"));
    await run(store, del("/a/1"), deletePrefix("/a/"), deletePrefix("/"));
    expect(await keysUnder(store, "")).toEqual([]);
  });

  test.each([
    { name: "puts a key twice", then: [put("/a", "1"), put("/a", "2")] },
    { name: "puts and deletes a key", then: [put("/a", "1"), del("/a")] },
    { name: "deletes and puts a key", then: [del("/a"), put("/a", "1")] },
    { name: "puts a key under a prefix it deletes", then: [deletePrefix("/"), put("/a", "1")] },
    { name: "writes the empty key", then: [put("/b", "1"), put("", "1")] },
    { name: "reads the empty key", then: [put("/b", "1"), get("")] },
    { name: "writes what is no text", then: [put("/b", "\ud800")] },
  ])("that $name is refused, and nothing is written", async ({ then }) => {
    const store = await openStore();
    const before = await revisionOf(store);
    expect(await codeOf(run(store, ...then))).toBe("internal");
    expect(await codeOf(store.txn({ compare: [], then: [], else: then }))).toBe("internal");
    expect(await revisionOf(store)).toBe(before);
  });

  test("may put a key in each of its branches", async () => {
    const store = await openStore();
    await store.txn({ compare: [], then: [put("/a", "1")], else: [put("/a", "2")] });
    expect(await store.get("/a")).toMatchObject({ value: "1" });
  });
}

function listContract(openStore: () => Promise<Store>): void {
  test("is ordered by the bytes of the keys, not by their UTF-16 units", async () => {
    const store = await openStore();
    // In UTF-16 😀 (D83D DE00) would come before \uffff.
    const ordered = ["/", "/A", "/Z", "/a", "/a/b", "/a0", "/é", "/\ud7ff", "/\ue000", "/\uffff", "/😀", "/\u{10ffff}"];
    await run(store, ...[...ordered].reverse().map((key) => put(key, "1")));
    expect(await keysUnder(store, "")).toEqual(ordered);
    expect(await keysUnder(store, "/")).toEqual(ordered);
  });

  test.each([
    { prefix: "/a/", under: ["/a/", "/a/%", "/a/x"], beside: ["/a", "/a.x", "/a0", "/b/x"] },
    { prefix: "/%", under: ["/%", "/%a"], beside: ["/a", "/_"] },
    { prefix: "\ud7ff", under: ["\ud7ff", "\ud7ffx"], beside: ["\ud7fe", "\ue000", "😀"] },
    { prefix: "a\u{10ffff}", under: ["a\u{10ffff}", "a\u{10ffff}\u{10ffff}"], beside: ["a", "a\u{10fffe}", "b"] },
    { prefix: "\u{10ffff}", under: ["\u{10ffff}", "\u{10ffff}z"], beside: ["\u{10fffe}\u{10ffff}"] },
    { prefix: "a\0", under: ["a\0", "a\0b"], beside: ["a", "a\u0001"] },
  ])("of the prefix $prefix holds exactly the keys that start with it", async ({ prefix, under, beside }) => {
    const store = await openStore();
    await run(store, ...[...beside, ...under].map((key) => put(key, "1")));
    expect(await keysUnder(store, prefix)).toEqual(under);
  });

  test("tells the revision that it shows", async () => {
    const store = await openStore();
    const { revision } = await run(store, put("/a", "1"), put("/b", "2"));
    const { entries, revision: listed } = await store.list("/");
    expect(listed).toBe(revision);
    expect(entries).toStrictEqual([await store.get("/a"), await store.get("/b")]);
    expect(await store.list("/none")).toEqual({ revision, entries: [] });
  });
}

function limitContract(openStore: () => Promise<Store>): void {
  const puts = (count: number) => Array.from({ length: count }, (_, index) => put(`/k${index}`, "1"));

  test("as many ops as allowed are taken, one more is refused", async () => {
    const store = await openStore();
    expect((await run(store, ...puts(MAX_TXN_OPS))).succeeded).toBe(true);
    const before = await revisionOf(store);
    expect(await codeOf(run(store, ...puts(MAX_TXN_OPS + 1)))).toBe("value-too-large");
    expect(await codeOf(store.txn({ compare: [], then: [], else: puts(MAX_TXN_OPS + 1) }))).toBe("value-too-large");
    const compare = puts(MAX_TXN_OPS + 1).map((_, index): Compare => ({ kind: "absent", key: `/x${index}` }));
    expect(await codeOf(store.txn({ compare, then: [] }))).toBe("value-too-large");
    expect(await revisionOf(store)).toBe(before);
  });

  test("the largest value is taken, one byte more is refused", async () => {
    const store = await openStore();
    const largest = "é".repeat(MAX_VALUE_BYTES / 2);
    await run(store, put("/a", largest));
    expect((await store.get("/a"))?.value).toBe(largest);
    expect(await codeOf(run(store, put("/a", `${largest}x`)))).toBe("value-too-large");
    expect(await codeOf(store.txn({ compare: [], then: [], else: [put("/a", `${largest}x`)] }))).toBe(
      "value-too-large",
    );
    expect((await store.get("/a"))?.value).toBe(largest);
  });

  test("a transaction that is too large as a whole is refused", async () => {
    const store = await openStore();
    const value = "x".repeat(MAX_TXN_BYTES / 3);
    await run(store, put("/a", value), put("/b", value));
    const before = await revisionOf(store);
    expect(await codeOf(run(store, put("/a", value), put("/b", value), put("/c", value)))).toBe("value-too-large");
    expect(await revisionOf(store)).toBe(before);
  });
}

function clientContract(open: () => Promise<StoreLab>): void {
  test("see each other's transactions as soon as they are answered", async () => {
    const lab = await openLab(open);
    const [a, b] = [await lab.store(), await lab.store()];
    for (let round = 1; round <= 20; round += 1) {
      const [writer, reader] = round % 2 === 0 ? [a, b] : [b, a];
      const { revision } = await run(writer, put("/a", String(round)));
      expect(await reader.get("/a")).toMatchObject({ value: String(round), version: round, modRevision: revision });
    }
  });

  test("that count up one key under compares lose no step", async () => {
    const lab = await openLab(open);
    const steps = 40;
    const countUp = async (store: Store): Promise<void> => {
      for (let done = 0; done < steps; ) {
        const entry = await store.get("/counter");
        const compare: Compare = { kind: "modRevision", key: "/counter", equals: entry?.modRevision ?? 0 };
        const then = [put("/counter", String(Number(entry?.value ?? 0) + 1))];
        if ((await store.txn({ compare: [compare], then })).succeeded) done += 1;
      }
    };
    const stores = [await lab.store(), await lab.store(), await lab.store()];
    await Promise.all(stores.map(countUp));
    expect(await stores[0]?.get("/counter")).toMatchObject({ value: String(3 * steps), version: 3 * steps });
  });

  test("that write at once get revisions of their own, without a gap", async () => {
    const lab = await openLab(open);
    const stores = [await lab.store(), await lab.store()];
    const before = await revisionOf(await lab.store());
    const perClient = await Promise.all(
      stores.map((store, client) =>
        Promise.all(Array.from({ length: 30 }, (_, call) => run(store, put(`/${client}/${call}`, "1")))),
      ),
    );
    const revisions = perClient.flat().map((result) => result.revision);
    expect(revisions.sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, index) => before + 1 + index));
  });

  test("that are closed refuse calls, and the others go on", async () => {
    const lab = await openLab(open);
    const [a, b] = [await lab.store(), await lab.store()];
    await a.close();
    await a.close();
    expect(await codeOf(a.get("/a"))).toBe("store-unavailable");
    expect(await codeOf(run(a, put("/a", "1")))).toBe("store-unavailable");
    expect((await run(b, put("/a", "1"))).succeeded).toBe(true);
  });
}
