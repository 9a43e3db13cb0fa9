import { expect, test } from "vitest";
import { LentMemory } from "./lent-memory.ts";

const lend = () => {
  const back: number[] = [];
  const memory = new LentMemory(8, () => back.push(1));
  return { memory, back };
};

test("memory is given back once, when the last of its holders has let go, in whatever order", () => {
  const { memory, back } = lend();
  const [first, second, third] = [memory.hold(), memory.hold(), memory.hold()];
  second();
  first();
  expect(back).toHaveLength(0);
  third();
  expect(back).toHaveLength(1);
});

test("letting go twice does not count for another holder", () => {
  const { memory, back } = lend();
  const [first, second] = [memory.hold(), memory.hold()];
  first();
  first();
  expect(back).toHaveLength(0);
  second();
  second();
  expect(back).toHaveLength(1);
});

test("nobody may hold what was given back: it has other bytes by then", () => {
  const { memory } = lend();
  memory.hold()();
  expect(() => memory.hold()).toThrow("memory is held only while it is lent");
});
