import fc from "fast-check";
import { expect, test } from "vitest";
import { StreamTable } from "./stream-table.ts";

test("behaves as a Map does, for rising ids that live short and long", () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("set" as const), skip: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("delete oldest" as const) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete any" as const), at: fc.nat() }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("rush" as const), count: fc.integer({ min: 1, max: 200 }) }),
    },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const table = new StreamTable<string>();
      const model = new Map<number, string>();
      let last = 0;
      const set = (skip: number) => {
        last += skip;
        table.set(last, `v${last}`);
        model.set(last, `v${last}`);
      };
      const remove = (id: number | undefined) => {
        if (id !== undefined) expect(table.delete(id)).toBe(model.delete(id));
      };
      for (const it of steps) {
        if (it.kind === "set") set(it.skip);
        else if (it.kind === "delete oldest") remove([...model.keys()][0]);
        else if (it.kind === "delete any") remove([...model.keys()][it.at % Math.max(1, model.size)] ?? it.at);
        else {
          for (let count = 0; count < it.count; count += 1) {
            set(1);
            remove(last);
          }
        }
        expect(table.size).toBe(model.size);
      }
      expect(table.entries()).toEqual([...model]);
      for (let id = 0; id <= last + 200; id += 1) expect(table.get(id)).toBe(model.get(id));
      table.clear();
      expect([table.size, table.entries(), table.get(last)]).toEqual([0, [], undefined]);
    }),
    { numRuns: 200 },
  );
});
