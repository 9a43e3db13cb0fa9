/** The table does what a Map does, whatever comes and goes. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { IdTable } from "./id-table.ts";

type Step =
  | { readonly kind: "add" }
  | { readonly kind: "delete"; readonly which: number }
  | { readonly kind: "skip"; readonly by: number };

const step = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Step>({ kind: "add" }) },
  { weight: 4, arbitrary: fc.nat(200).map<Step>((which) => ({ kind: "delete", which })) },
  { weight: 1, arbitrary: fc.nat(40).map<Step>((by) => ({ kind: "skip", by })) },
);

test("it holds what a Map would hold", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const table = new IdTable<{ readonly id: number }>();
      const map = new Map<number, { readonly id: number }>();
      let last = 0;
      for (const next of steps) {
        if (next.kind === "add") {
          last += 1;
          const value = { id: last };
          table.add(last, value);
          map.set(last, value);
        } else if (next.kind === "skip") last += next.by;
        else {
          // One that is in it, or one that may be not.
          const id = [...map.keys()][next.which] ?? next.which + 1;
          expect(table.delete(id)).toBe(map.delete(id));
        }
      }
      expect(table.size).toBe(map.size);
      for (let id = 1; id <= last + 1; id += 1) expect(table.get(id)).toBe(map.get(id));
      expect(new Set(table.values())).toEqual(new Set(map.values()));
    }),
  );
});

test("one long life among many short ones costs no growth", () => {
  const table = new IdTable<object>();
  table.add(1, {});
  for (let id = 2; id < 100_000; id += 1) {
    table.add(id, {});
    table.delete(id);
  }
  expect(table.size).toBe(1);
  expect(table.get(1)).toBeDefined();
});
