import fc from "fast-check";
import { Unpackr } from "msgpackr";
import { describe, expect, test } from "vitest";
import { isServeError } from "../../base/serve-error.ts";
import { MAX_VALUE_DEPTH } from "../../model/limits.ts";
import { decodeValue, encodeValue } from "./values.ts";

const roundTrip = (value: unknown): unknown => decodeValue(encodeValue(value));

const scalar = fc.oneof(
  fc.string({ unit: "binary" }).map((text) => text.toWellFormed()),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.bigInt(),
  fc.date({ noInvalidDate: false }),
  fc.constantFrom(undefined, null, -0, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 53, -(2n ** 63n), 2n ** 63n - 1n, 2n ** 64n),
  fc.uint8Array(),
  fc.float64Array(),
  fc.int16Array(),
  fc.bigInt64Array(),
  fc.uint8ClampedArray(),
);

const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    scalar,
    fc.array(tie("value"), { maxLength: 20 }),
    fc.dictionary(fc.string(), tie("value"), { maxKeys: 20, noNullPrototype: true }),
    fc.array(fc.tuple(scalar, tie("value")), { maxLength: 10 }).map((entries) => new Map(entries)),
    fc.array(scalar, { maxLength: 10 }).map((values) => new Set(values)),
  ),
}));

describe("values", () => {
  test("every value of the types that cross comes back as it was", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(roundTrip(value)).toStrictEqual(value);
      }),
      { numRuns: 500 },
    );
  });

  test("strings of every length around the bounds of the encoding come back", () => {
    for (const length of [
      0, 1, 15, 16, 17, 23, 24, 25, 31, 32, 33, 85, 86, 255, 256, 257, 21_845, 65_535, 65_536, 70_000,
    ]) {
      for (const character of ["a", "é", "語", "😀"]) {
        const text = character.repeat(length);
        expect(roundTrip([text, 7])).toStrictEqual([text, 7]);
      }
    }
  });

  test("any MessagePack library reads the plain types", () => {
    const plain = fc.jsonValue({ noUnicodeString: false }).map((value) => structuredClone(value));
    const unpackr = new Unpackr({ useRecords: false });
    fc.assert(
      fc.property(plain, (value) => {
        // msgpackr renames the key; ours keeps it.
        fc.pre(!JSON.stringify(value).includes("__proto__"));
        expect(unpackr.unpack(encodeValue(value))).toStrictEqual(value);
      }),
    );
  });

  test("a Buffer and a part of a larger buffer come back as their own bytes", () => {
    const whole = Buffer.from("0123456789");
    expect(roundTrip(whole.subarray(2, 5))).toStrictEqual(new Uint8Array([50, 51, 52]));
    expect(roundTrip(new Uint16Array(new Uint8Array([1, 0, 2, 0, 3, 0]).buffer, 2, 2))).toStrictEqual(
      Uint16Array.of(2, 3),
    );
    expect(roundTrip(new DataView(Uint8Array.of(1, 2, 3).buffer, 1))).toStrictEqual(
      new DataView(Uint8Array.of(2, 3).buffer),
    );
    expect(roundTrip(Uint8Array.of(9).buffer)).toStrictEqual(Uint8Array.of(9).buffer);
  });

  test("errors come back with name and message and without the stack of the other process", () => {
    const error = roundTrip([new TypeError("no")]) as [Error];
    expect(error[0]).toBeInstanceOf(Error);
    expect([error[0].name, error[0].message, error[0].stack]).toEqual(["TypeError", "no", "TypeError: no"]);
  });

  test("objects made by a class go as toJSON says, else as their own fields", () => {
    class Point {
      readonly x = 1;
      readonly y = [2];
    }
    expect(roundTrip({ at: new Point() })).toStrictEqual({ at: { x: 1, y: [2] } });
    expect(roundTrip(new URL("http://a/b"))).toBe("http://a/b");
    expect(roundTrip(Object.assign(Object.create(null), { a: 1 }))).toStrictEqual({ a: 1 });
  });

  test("a toJSON that encodes another value does not disturb the outer one", () => {
    const nested = { toJSON: () => [...encodeValue("inner")] };
    expect(roundTrip(["before", nested, "after"])).toStrictEqual(["before", [...encodeValue("inner")], "after"]);
  });

  test("what cannot cross is refused with its path and what to do", () => {
    const refused = (value: unknown): string => {
      try {
        encodeValue(value);
      } catch (error) {
        if (isServeError(error) && error.code === "value-unsupported") return error.message;
        throw error;
      }
      throw new Error("was not refused");
    };
    expect(refused(() => 1)).toMatch(/^value is a function, which cannot cross/);
    expect(refused({ rows: [{ "a-b": 1, "then?": Symbol("x") }] })).toMatch(
      /^value\.rows\[0\]\["then\?"\] is a symbol/,
    );
    expect(refused([Promise.resolve(1)])).toMatch(/^value\[0\] is a Promise/);
    expect(refused(new Map([["k", new WeakMap()]]))).toMatch(/^value\.get\(k\) is a WeakMap/);
    expect(refused(new Response("x"))).toMatch(/^value is a Response/);
    expect(refused(/x/)).toMatch(/^value is a RegExp/);
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(refused(cycle)).toMatch(new RegExp(`deeper than ${MAX_VALUE_DEPTH} levels.*contain itself`));
  });

  test("a refused value leaves nothing behind for the next one", () => {
    expect(() => encodeValue(["half", () => 1])).toThrow("cannot cross");
    expect(roundTrip({ a: 1 })).toStrictEqual({ a: 1 });
  });

  test("a key named __proto__ is a key and changes no prototype", () => {
    const value = roundTrip(JSON.parse(`{"__proto__":{"polluted":true},"a":1}`)) as Record<string, unknown>;
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.keys(value)).toEqual(["__proto__", "a"]);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  test("random bytes are a value or a wire-protocol error, and never anything else", () => {
    const decodes = (bytes: Uint8Array): void => {
      try {
        decodeValue(bytes);
      } catch (error) {
        expect(isServeError(error) && error.code).toBe("wire-protocol");
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), decodes), { numRuns: 3_000 });
    // Real values with a few bytes changed get further in than noise does.
    const damaged = fc
      .tuple(anyValue, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
      .map(([value, edits]) => {
        const bytes = encodeValue(value).slice();
        for (const [at, byte] of edits) bytes[at % bytes.length] = byte;
        return bytes;
      });
    fc.assert(fc.property(damaged, decodes), { numRuns: 1_000 });
  });

  test("claimed lengths beyond the bytes and endless nesting are refused before memory is spent", () => {
    const refused = (...bytes: number[]) => expect(() => decodeValue(Uint8Array.from(bytes))).toThrow("The peer sent");
    refused(0xdd, 0xff, 0xff, 0xff, 0xff);
    refused(0xdf, 0x7f, 0xff, 0xff, 0xff, 1);
    refused(0xc6, 0xff, 0xff, 0xff, 0xff, 1);
    refused(0xdb, 0xff, 0xff, 0xff, 0xff, 1);
    refused(0xc9, 0xff, 0xff, 0xff, 0xff, 3);
    refused(...new Array(10_000).fill(0x91), 1);
    refused(0xc1);
    refused(1, 2);
    refused();
  });

  test("the extensions by which other libraries define classes, functions or patterns are unknown here", () => {
    for (const type of [0x72, 0x78, 0x69, 0x70, 0x62, 0x65]) {
      expect(() => decodeValue(Uint8Array.of(0xd4, type, 0x40, 0x91, 0xa1, 0x61, 1))).toThrow("unknown type");
      expect(() => decodeValue(Uint8Array.of(0xc7, 1, type, 0))).toThrow("unknown type");
    }
  });
});
