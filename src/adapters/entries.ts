/**
 * Where the main files of our processes are: `src/main/*.ts` when this file runs from source, `dist/main/*.js` in the package.
 * A replica runs the `maitred` that its user's code would import, which may be another copy than this one.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Entries } from "../ports/entries.ts";

export type Main = "agent" | "controller" | "proxy" | "replica" | "probe";

const EXTENSION = import.meta.url.endsWith(".ts") ? "ts" : "js";
const OWN_ROOT = fileURLToPath(new URL("../..", import.meta.url));

export const mainFile = (main: Main): string => fileURLToPath(new URL(`../main/${main}.${EXTENSION}`, import.meta.url));

export const entries = (): Entries => ({
  controller: mainFile("controller"),
  proxy: mainFile("proxy"),
  replica: (module) => fileOfOtherCopy(module, "replica") ?? mainFile("replica"),
  probe: (module) => fileOfOtherCopy(module, "probe") ?? mainFile("probe"),
});

/** Undefined = the module's folder finds no other copy than ours. */
function fileOfOtherCopy(module: string, main: Main): string | undefined {
  let root: string;
  try {
    root = dirname(createRequire(module).resolve("maitred/package.json"));
  } catch {
    return undefined; // not installed there: a folder without a package.json, say
  }
  if (join(root, "/") === OWN_ROOT) return undefined;
  return [join(root, `dist/main/${main}.js`), join(root, `src/main/${main}.ts`)].find((file) => existsSync(file));
}
