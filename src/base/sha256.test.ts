/** The pure SHA-256 against the one of Node. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sha256 } from "./sha256.ts";

const byNode = (text: string) => createHash("sha256").update(text).digest("hex");

test("texts of any length and alphabet have the digest that Node computes", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), (text) => sha256(text) === byNode(text)));
});

test("padding is right around every border of a block", () => {
  for (let length = 0; length <= 130; length++) {
    const text = "a".repeat(length);
    expect(sha256(text), `${length} bytes`).toBe(byNode(text));
  }
});

test("a long text has the digest that Node computes", () => {
  const text = "0123456789abcdef".repeat(20_000);
  expect(sha256(text)).toBe(byNode(text));
});
