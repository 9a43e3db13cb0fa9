import { describe, expect, test } from "vitest";
import { AskedStart } from "./asked-start.ts";

describe("a start that a person asked for", () => {
  test("is open while the store says that the instance is stopped, until a controller leads for it", () => {
    const start = new AskedStart("asked");
    expect(start.hear({ phase: "stopping", revision: 5 })).toBe("open");
    expect(start.hear({ phase: "stopped", revision: 6 })).toBe("open");
    expect(start.done(8)).toEqual({ phase: "stopped", revision: 6 });
    expect(start.hear({ phase: "stopped", revision: 6 })).toBe("of before");
    expect(start.hear({ phase: "running", revision: 9 })).toBe("in force");
    expect(start.hear({ phase: "stopping", revision: 10 })).toBe("in force");
  });

  test("is done when it was stopped again before it was seen to run, whichever is heard first", () => {
    const late = new AskedStart("asked");
    expect(late.done(8)).toBeUndefined();
    expect(late.hear({ phase: "stopping", revision: 12 })).toBe("in force");
    const early = new AskedStart("asked");
    expect(early.hear({ phase: "stopped", revision: 12 })).toBe("open");
    expect(early.hear(early.done(8)!)).toBe("in force");
  });

  test("is done when the instance is seen to run, and what is heard late is of before", () => {
    const start = new AskedStart("asked");
    expect(start.hear({ phase: "running", revision: 5 })).toBe("in force");
    expect(start.done(8)).toBeUndefined();
    expect(start.hear({ phase: "stopping", revision: 6 })).toBe("in force");
    expect(start.hear({ phase: "stopped", revision: 4 })).toBe("of before");
  });

  test("never was when nobody asked", () => {
    const start = new AskedStart("rescue");
    expect(start.hear({ phase: "stopped", revision: 3 })).toBe("in force");
    expect(start.hear({ phase: "gone", revision: 0 })).toBe("in force");
  });
});
