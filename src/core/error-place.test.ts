import { expect, test } from "vitest";
import { placeInStack } from "./error-place.ts";

test("the place of an error is its first frame in a file of the user's own", () => {
  const stack = `TypeError: no
    at node:internal/process:1:2
    at run (file:///srv/node_modules/onnx/index.js:7:1)
    at new Model (file:///srv/my%20app/model.ts:3:11)
    at file:///srv/app.ts:9:2`;
  expect(placeInStack(stack)).toBe("/srv/my app/model.ts:3:11");
  expect(placeInStack("Error: no\n    at file:///srv/app.ts:9:2")).toBe("/srv/app.ts:9:2");
  expect(placeInStack("Error: no\n    at async file:///srv/app.ts:9:2")).toBe("/srv/app.ts:9:2");
  expect(placeInStack("Error: no\n    at async call (/srv/my app.cjs:9:2)")).toBe("/srv/my app.cjs:9:2");
});

test("a package is named when there is nothing else, and nothing when no file is", () => {
  expect(placeInStack("Error: no\n    at run (file:///srv/node_modules/onnx/index.js:7:1)")).toBe(
    "/srv/node_modules/onnx/index.js:7:1",
  );
  expect(placeInStack("Error: no\n    at new Promise (<anonymous>)")).toBeUndefined();
  expect(placeInStack(undefined)).toBeUndefined();
});
