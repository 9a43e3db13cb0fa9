/**
 * Part of the store's contract: random transactions by two clients in turn, each answer, listing and watch held to the model.
 * A failure prints its seed and the shortest run that still fails.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Compare, Op, Txn } from "../../src/ports/store.ts";
import type { StoreLab } from "./store-contract.ts";
import { StoreModel } from "./store-model.ts";
import { del, deletePrefix, get, put, record, revisionOf } from "./store-tools.ts";

const RUNS = 40;
const MAX_STEPS = 25;

/** Few keys, so that they meet; some are prefixes of others, some sort differently in UTF-16. */
const key = fc.constantFrom("a", "a/", "a/b", "a/c", "a0", "b/\uffff", "b/😀", "é\0");
const prefix = fc.constantFrom("", "a", "a/", "b/", "é", "none");
const value = fc.string({ unit: "binary", maxLength: 8 });

interface WantedCompare {
  readonly key: string;
  readonly kind: Compare["kind"];
  /** Added to the revision that would hold. */
  readonly off: number;
}

interface Step {
  readonly client: number;
  readonly compare: readonly WantedCompare[];
  readonly then: readonly Op[];
  readonly else: readonly Op[];
}

const op = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(key, value).map(([k, v]): Op => put(k, v)) },
  { weight: 2, arbitrary: key.map((k): Op => del(k)) },
  { weight: 1, arbitrary: prefix.map((p): Op => deletePrefix(p)) },
  { weight: 2, arbitrary: key.map((k): Op => get(k)) },
);

/** Leaves out what every store refuses: a key that is put twice, or put and deleted. */
const branch = fc.array(op, { maxLength: 6 }).map((ops): readonly Op[] => {
  const kept: Op[] = [];
  for (const next of ops) if (!kept.some((other) => clash(other, next))) kept.push(next);
  return kept;
});

const step: fc.Arbitrary<Step> = fc.record({
  client: fc.nat({ max: 1 }),
  compare: fc.array(
    fc.record({
      key,
      kind: fc.constantFrom<Compare["kind"]>("absent", "createRevision", "modRevision"),
      off: fc.constantFrom(0, 0, 0, 1, -1),
    }),
    { maxLength: 2 },
  ),
  then: branch,
  else: branch,
});

export function propertyContract(open: () => Promise<StoreLab>): void {
  describe("random transactions", () => {
    test("answer, list and are watched as by the model", async () => {
      const property = fc.asyncProperty(
        fc.array(step, { maxLength: MAX_STEPS }),
        prefix,
        fc.nat({ max: MAX_STEPS }),
        async (steps, watched, resumeAfter) => {
          const lab = await open();
          try {
            await hold(lab, { steps, watched, resumeAfter });
          } finally {
            await lab.close();
          }
        },
      );
      await fc.assert(property, { numRuns: RUNS });
    }, 60_000);
  });
}

interface Run {
  readonly steps: readonly Step[];
  readonly watched: string;
  /** Where, after the begin, the second watch starts. */
  readonly resumeAfter: number;
}

async function hold(lab: StoreLab, { steps, watched, resumeAfter }: Run): Promise<void> {
  const stores = [await lab.store(), await lab.store()] as const;
  const begin = await revisionOf(stores[0]);
  const model = new StoreModel(begin);
  const watch = record(stores[1], watched);
  await watch.through(begin);

  for (const { client, compare, ...branches } of steps) {
    const txn: Txn = { compare: compare.map((wanted) => resolveCompare(wanted, model)), ...branches };
    const store = stores[client === 0 ? 0 : 1];
    expect(await store.txn(txn)).toEqual(model.txn(txn));
    const seen = await stores[client === 0 ? 1 : 0].list("");
    expect(seen).toEqual({ revision: model.revision(), entries: model.list("") });
    stores[1].nudge();
  }
  expect((await stores[0].list(watched)).entries).toEqual(model.list(watched));

  const from = Math.min(begin + 1 + resumeAfter, model.revision() + 1);
  const resumed = record(stores[0], watched, { fromRevision: from });
  // A last change under the prefix tells that all before it has come.
  const last: Txn = { compare: [], then: [put(`${watched}last`, "")] };
  expect(await stores[0].txn(last)).toEqual(model.txn(last));
  stores[1].nudge();
  const toEvents = (since: number) =>
    model.changesFrom(since, watched).map(({ revision, changes }) => ({ kind: "changes", revision, changes }));
  await watch.through(model.revision());
  await resumed.through(model.revision());
  expect(watch.events.slice(1)).toEqual(toEvents(begin + 1));
  expect(resumed.events).toEqual(toEvents(from));
  watch.stop();
  resumed.stop();
}

function resolveCompare({ key, kind, off }: WantedCompare, model: StoreModel): Compare {
  if (kind === "absent") return { kind, key };
  return { kind, key, equals: Math.max(0, (model.get(key)?.[kind] ?? 0) + off) };
}

function clash(a: Op, b: Op): boolean {
  if (a.kind === "put" && b.kind === "put") return a.key === b.key;
  return putIsDeleted(a, b) || putIsDeleted(b, a);
}

function putIsDeleted(written: Op, other: Op): boolean {
  if (written.kind !== "put") return false;
  if (other.kind === "delete") return written.key === other.key;
  return other.kind === "deletePrefix" && written.key.startsWith(other.prefix);
}
