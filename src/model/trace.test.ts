import { expect, test } from "vitest";
import { MAX_TRACESTATE_CHARS, MAX_TRACESTATE_MEMBERS } from "./limits.ts";
import { idsOf, isTraceparent, traceOf, traceparentOf, withTrace } from "./trace.ts";

const ID = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";
const GOOD = `00-${ID}-${PARENT}-01`;

test.each([GOOD, `00-${ID}-${PARENT}-00`, `cc-${ID}-${PARENT}-01`, `cc-${ID}-${PARENT}-01-what-comes-later`])(
  "%s is well-formed",
  (value) => expect(isTraceparent(value)).toBe(true),
);

test.each([
  ["nothing", ""],
  ["a forbidden version", `ff-${ID}-${PARENT}-01`],
  ["a trace id of zeros", `00-${"0".repeat(32)}-${PARENT}-01`],
  ["a parent id of zeros", `00-${ID}-${"0".repeat(16)}-01`],
  ["upper case", `00-${ID.toUpperCase()}-${PARENT}-01`],
  ["more than version 00 has", `${GOOD}-x`],
  ["a short id", `00-${ID.slice(1)}-${PARENT}-01`],
  ["no flags", `00-${ID}-${PARENT}`],
  ["something behind the flags", `cc-${ID}-${PARENT}-01x`],
  ["something before it", ` ${GOOD}`],
])("%s is not", (_, value) => expect(isTraceparent(value)).toBe(false));

test("headers say it once, or they say nothing", () => {
  expect(traceOf(["host", "a", "traceparent", GOOD])).toEqual({ traceparent: GOOD, tracestate: undefined });
  expect(traceOf(["host", "a"])).toBeUndefined();
  expect(traceOf(["traceparent", GOOD, "traceparent", GOOD])).toBeUndefined();
  expect(traceOf(["traceparent", "x", "tracestate", "a=1"])).toBeUndefined();
  expect(traceOf(["tracestate", "a=1"])).toBeUndefined();
});

test("several tracestate headers are one list; one that is too long or has too many members is left out", () => {
  const tracestateOf = (...states: readonly string[]) =>
    traceOf(["traceparent", GOOD, ...states.flatMap((state) => ["tracestate", state])])?.tracestate;
  expect(tracestateOf("a=1", "", "b=2,c=3")).toBe("a=1,b=2,c=3");
  expect(tracestateOf("")).toBeUndefined();
  expect(tracestateOf(`a=${"x".repeat(MAX_TRACESTATE_CHARS - 2)}`)).toHaveLength(MAX_TRACESTATE_CHARS);
  expect(tracestateOf(`a=${"x".repeat(MAX_TRACESTATE_CHARS - 1)}`)).toBeUndefined();
  const members = (count: number) => Array.from({ length: count }, (_, index) => `k${index}=v`).join(",");
  expect(tracestateOf(members(MAX_TRACESTATE_MEMBERS))).toBeDefined();
  expect(tracestateOf(members(MAX_TRACESTATE_MEMBERS + 1))).toBeUndefined();
});

test("a trace replaces what headers say of one, and undefined removes it", () => {
  const headers = ["traceparent", "x", "accept", "*/*", "tracestate", "y=1"];
  expect(withTrace(headers, undefined)).toEqual(["accept", "*/*"]);
  expect(withTrace(headers, { traceparent: GOOD, tracestate: "a=1" })).toEqual([
    ...["accept", "*/*"],
    ...["traceparent", GOOD, "tracestate", "a=1"],
  ]);
});

test("ids come out of a traceparent and go into one", () => {
  expect(idsOf(GOOD)).toEqual({ traceId: ID, spanId: PARENT, flags: 1 });
  expect(traceparentOf(idsOf(GOOD))).toBe(GOOD);
});
