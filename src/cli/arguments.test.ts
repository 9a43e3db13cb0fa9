import { expect, test } from "vitest";
import { parseArgs, parseDuration, parseModule, parsePort, parseSettings, parseShares } from "./arguments.ts";

test("shares are read as percent or as fraction", () => {
  expect(parseShares(["iris:v1=90%", "iris:v2=0.1"])).toEqual({ "iris:v1": 0.9, "iris:v2": 0.1 });
});

test.each(["iris:v1", "=5%", "iris=%", "iris=lots"])("%s is no share", (word) => {
  expect(() => parseShares([word])).toThrow(expect.objectContaining({ code: "usage" }));
});

test("a backend has one share: one that is named twice is refused", () => {
  expect(() => parseShares(["hello=0.5", "bye=0.1", "hello=0.5"])).toThrow(
    expect.objectContaining({
      code: "usage",
      message: '"hello" is named twice: hello=0.5 bye=0.1 hello=0.5. Give each backend one share.',
    }),
  );
});

test("a module reference ends in the name of an export, or not", () => {
  expect(parseModule("./iris.ts#Iris")).toEqual({ module: "./iris.ts", export: "Iris" });
  expect(parseModule("./iris.ts")).toEqual({ module: "./iris.ts" });
});

test.each(["{}", "3", "null", "[v1]"])("%s is no list of arguments", (text) => {
  expect(() => parseArgs(text)).toThrow(expect.objectContaining({ code: "usage" }));
  expect(parseArgs('["v1.onnx", {}]')).toEqual(["v1.onnx", {}]);
});

test("settings are JSON where they can be, and nested by a dot", () => {
  expect(
    parseSettings(["numReplicas=3", "envFile=.env", 'userConfig={"a":1}', "env.PORT=80", "resources.cpu=2"]),
  ).toEqual({
    numReplicas: 3,
    envFile: ".env",
    userConfig: { a: 1 },
    env: { PORT: "80" },
    resources: { cpu: 2 },
  });
});

test("of a setting that is given twice the last counts", () => {
  expect(parseSettings(["numReplicas=1", "env.PORT=80", "numReplicas=2", "env.PORT=81"])).toEqual({
    numReplicas: 2,
    env: { PORT: "81" },
  });
});

test("durations have a unit; a bare number is seconds", () => {
  expect(["500ms", "30s", "5m", "2h", "7"].map(parseDuration)).toEqual([500, 30_000, 300_000, 7_200_000, 7_000]);
  expect(() => parseDuration("soon")).toThrow(expect.objectContaining({ code: "usage" }));
});

test("ports are 0 to 65535", () => {
  expect(parsePort("8000")).toBe(8000);
  for (const text of ["65536", "-1", "http", "80.5"]) {
    expect(() => parsePort(text)).toThrow(expect.objectContaining({ code: "usage" }));
  }
});

test("a setting of any name arrives as a field of that name", () => {
  expect(Object.keys(parseSettings(["__proto__=1", "constructor=2"]))).toEqual(["__proto__", "constructor"]);
});
