/**
 * Loads user modules with `import()` and turns what goes wrong into one sentence (core/module-errors.ts).
 * Node does not say which file of many V8 refused to compile. Then the module is asked for once more while a hook notes which files are
 * read: the last one is it. Nothing runs twice by that, because nothing has run: Node compiles all files before it runs the first.
 */
import { existsSync, readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";
import { isServeError, messageOf, ServeError, textOf } from "../base/serve-error.ts";
import { diagnoseModuleFailure, type ModuleFailure } from "../core/module-errors.ts";
import { pathOfUrl, type SourceFiles } from "../core/module-problem.ts";
import type { ModuleExports, ModuleLoader } from "../ports/module-loader.ts";
import { syntaxPlace } from "./syntax-place.ts";

export const nodeModuleLoader = (): ModuleLoader => ({
  async load(place) {
    const url = place.startsWith("file:") ? place : pathToFileURL(place).href;
    try {
      return (await import(url)) as ModuleExports;
    } catch (error) {
      // `defineApp` and its like throw sentences of their own while the module runs.
      if (isServeError(error)) throw error;
      const problem = diagnoseModuleFailure(await failureOf(url, error), sourceFiles);
      throw new ServeError(problem.code, problem.message, { cause: error });
    }
  },
});

const sourceFiles: SourceFiles = {
  read: (path) => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      // Whatever hinders us: the message is made without it.
      return undefined;
    }
  },
  exists: (path) => existsSync(path),
};

async function failureOf(url: string, thrown: unknown): Promise<ModuleFailure> {
  const file = pathOfUrl(url);
  // User code made it: whatever is asked of it may throw.
  const stack = textOf(thrown, "stack") ?? "";
  const culprit = /^\s+at compileSourceTextModule /m.test(stack) ? await lastFileRead(url) : undefined;
  const place = culprit === undefined ? undefined : await syntaxPlace(culprit);
  return {
    file,
    culprit,
    phase: /^\s+at [^\n]*\(node:internal\/modules\//.test(firstFrame(stack)) ? "linking" : "running",
    name: textOf(thrown, "name") ?? "",
    code: textOf(thrown, "code"),
    message: messageOf(thrown),
    stack: place ?? stack,
  };
}

const firstFrame = (stack: string): string => stack.split("\n").find((line) => /^\s+at /.test(line)) ?? "";

async function lastFileRead(url: string): Promise<string | undefined> {
  let last: string | undefined;
  const hooks = registerHooks({
    load(read, context, nextLoad) {
      last = pathOfUrl(read);
      return nextLoad(read, context);
    },
  });
  try {
    // Another URL for the same file: a failed module is remembered under its own.
    await import(`${url}${url.includes("?") ? "&" : "?"}diagnose`);
  } catch {
    // The same error again.
  } finally {
    hooks.deregister();
  }
  return last;
}
