/** A body between who gives it and the replica that gets it, cut anyhow on both sides. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { StreamedBody } from "./streamed-body.ts";

/** One whose replica has used some of it: what comes now waits for credit. */
const usedBody = () => {
  const body = new StreamedBody({ onRoom() {}, onWanted() {}, onClosed() {} });
  body.add(Uint8Array.of(0), "more");
  body.take(1);
  body.release();
  return body;
};

test("what waits in tiny parts is put together", () => {
  const body = usedBody();
  for (let count = 0; count < 1_000; count += 1) body.add(new Uint8Array(new ArrayBuffer(65_536), 7, 1), "more");
  expect(body.take(65_536)).toHaveLength(1_000);
});

test("all bytes come in order, however they are given and taken", () => {
  const step = fc.oneof(
    fc.record({ add: fc.integer({ min: 1, max: 9_000 }) }),
    fc.record({ take: fc.integer({ min: 1, max: 12_000 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const body = usedBody();
      const [given, taken]: [number[], number[]] = [[], []];
      let next = 0;
      const take = (bytes: number) => {
        const part = body.take(bytes);
        if (part !== undefined) taken.push(...part);
        return part !== undefined;
      };
      for (const one of steps) {
        if ("take" in one) take(one.take);
        else {
          const part = Uint8Array.from({ length: one.add }, () => next++ & 0xff);
          given.push(...part);
          body.add(part, "more");
        }
      }
      while (take(65_536));
      expect(taken).toEqual(given);
    }),
    { numRuns: 50 },
  );
});
