import { resolve } from "node:path";
import { expect, test } from "vitest";
import { defineApp } from "../api/api.ts";
import { planApp } from "./app-plan.ts";
import { withPaths } from "./code.ts";

test("paths of a configuration are made absolute where it is written: the file's folder, or the program's", () => {
  expect(withPaths({ envFile: "b.env", cwd: "../data", numReplicas: 2 }, "/srv/app")).toEqual({
    ...{ envFile: "/srv/app/b.env", cwd: "/srv/data", numReplicas: 2 },
  });
  expect(withPaths({ envFile: "b.env" }, ".")).toEqual({ envFile: resolve("b.env") });
  expect(withPaths({ cwd: "/tmp" }, "/srv/app")).toEqual({ cwd: "/tmp" });
  expect(withPaths({ envFile: 7 }, "/srv/app")).toEqual({ envFile: 7 });
  const app = defineApp({ backends: { b: { run: () => "b", config: { envFile: "./b.env" } } }, endpoints: {} });
  expect(planApp({ url: "file:///srv/app/app.ts", defaultExport: app }).backends).toMatchObject([
    { config: { envFile: "/srv/app/b.env" } },
  ]);
});
