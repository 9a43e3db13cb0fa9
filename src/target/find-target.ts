/**
 * From a CodeRef to the value that it names: imports the module, finds the export or the app's entry, and refuses what can never be
 * served. Runs nothing of it. Every failure is a ServeError with one sentence.
 */
import { appDefinitionOf, backendRefOf, isApp } from "../api/api.ts";
import { suggestion } from "../base/did-you-mean.ts";
import { ServeError } from "../base/serve-error.ts";
import { exportNotFound, targetInvalid } from "../core/module-errors.ts";
import { type ModuleProblem, pathOfUrl } from "../core/module-problem.ts";
import type { CodeRef } from "../model/code-ref.ts";
import type { ModuleLoader } from "../ports/module-loader.ts";

/** A class, a function, or an object, and the constructor arguments that go with it. */
export interface FoundTarget {
  readonly file: string;
  readonly export: string;
  readonly value: object;
  readonly args: readonly unknown[];
}

/** @throws ServeError export-not-found, app-invalid, target-invalid, and those of the loader. */
export async function findTarget(loader: ModuleLoader, code: CodeRef): Promise<FoundTarget> {
  const place = code.kind === "app" ? await findInApp(loader, code) : await findExport(loader, code);
  const { value, args } = place;
  if (isApp(value))
    throw refusedTarget(place, "an app made by defineApp({ … }), which `maitred run` and `deploy` take");
  if (backendRefOf(value) !== undefined) throw refusedTarget(place, "a backend({ … }), which createBackend takes");
  if (typeof (value as { then?: unknown } | null | undefined)?.then === "function") {
    throw refusedTarget(place, "a promise");
  }
  if (typeof value !== "function" && (typeof value !== "object" || value === null)) {
    throw refusedTarget(place, value === null || value === undefined ? String(value) : `a ${typeof value}`);
  }
  if (args.length > 0 && !isClass(value)) {
    throw new ServeError(
      "target-invalid",
      `module ${place.file}: args are for the constructor of a class, and ${place.export === "*" ? "the module" : `"${place.export}"`} is ${typeof value === "function" ? "a function" : "an object"}. Remove them.`,
    );
  }
  return { ...place, value };
}

/** @param got what stands there instead, for people: "a number". */
export const refusedTarget = (place: Pick<FoundTarget, "file" | "export">, got: string): ServeError =>
  errorOf(targetInvalid({ file: place.file, export: place.export, got }));

/** A class must be made, not called: the only functions whose source begins with the word. */
export const isClass = (value: unknown): value is new (...args: readonly unknown[]) => object =>
  typeof value === "function" && /^class\b/.test(Function.prototype.toString.call(value));

type Place = Omit<FoundTarget, "value"> & { readonly value: unknown };

async function findExport(
  loader: ModuleLoader,
  code: { readonly module: string; readonly export: string; readonly args: readonly unknown[] },
): Promise<Place> {
  const exports = await loader.load(code.module);
  const file = pathOfUrl(code.module);
  if (code.export === "*") return { file, export: "*", value: exports, args: code.args };
  if (!Object.hasOwn(exports, code.export)) {
    throw errorOf(exportNotFound({ file, wanted: code.export, exports: Object.keys(exports) }));
  }
  return { file, export: code.export, value: exports[code.export], args: code.args };
}

async function findInApp(loader: ModuleLoader, code: CodeRef & { readonly kind: "app" }): Promise<Place> {
  const exports = await loader.load(code.module);
  const file = pathOfUrl(code.module);
  const app = appDefinitionOf(exports["default"]);
  if (app === undefined) {
    throw new ServeError(
      "app-invalid",
      `app file ${file}: its default export is not made by defineApp({ … }) any more.`,
    );
  }
  const entry = Object.hasOwn(app.backends, code.backend) ? app.backends[code.backend] : undefined;
  if (entry === undefined) {
    const tags = Object.keys(app.backends);
    throw new ServeError(
      "export-not-found",
      `app file ${file} has no backend "${code.backend}"; it has ${tags.map((tag) => `"${tag}"`).join(", ") || "none"}.${suggestion(code.backend, tags)}`,
    );
  }
  const lazy = backendRefOf(entry.run);
  if (lazy === undefined) return { file, export: code.backend, value: entry.run, args: entry.args ?? [] };
  const module = lazy.module.startsWith(".") ? new URL(lazy.module, code.module).href : lazy.module;
  return findExport(loader, { ...lazy, module });
}

const errorOf = (problem: ModuleProblem): ServeError => new ServeError(problem.code, problem.message);
