/**
 * From a CodeRef to code that is ready to serve: imports the module, finds the export, constructs, starts, configures.
 * Life of a class: constructor(args) → `async start()` → `reconfigure(userConfig)` when given; objects and modules have the last two.
 * Every failure is a ServeError with one sentence that holds the user's own message; its cause is what was thrown.
 */
import { appDefinitionOf, backendRefOf, isApp, resolveRefs } from "../api/api.ts";
import { suggestion } from "../base/did-you-mean.ts";
import { messageOf, ServeError } from "../base/serve-error.ts";
import { exportNotFound, targetInvalid } from "../core/module-errors.ts";
import { type ModuleProblem, pathOfUrl } from "../core/module-problem.ts";
import type { CodeRef } from "../model/code-ref.ts";
import type { BackendTag } from "../model/ids.ts";
import type { Json } from "../model/json.ts";
import type { ModuleLoader } from "../ports/module-loader.ts";
import { isClass, type Target, targetOf } from "./target.ts";

export interface TargetWish {
  readonly backend: BackendTag;
  readonly code: CodeRef;
  readonly userConfig: Json | undefined;
}

export async function loadTarget(loader: ModuleLoader, wish: TargetWish): Promise<Target> {
  const { backend, code } = wish;
  const source = code.kind === "app" ? await findInApp(loader, code) : await findExport(loader, code);
  const made = construct(source, backend);
  const { life } = targetOf(made);
  if (life.start !== undefined) {
    try {
      await life.start();
    } catch (error) {
      throw startFailed(backend, "start() threw", error);
    }
  }
  if (wish.userConfig !== undefined) {
    if (life.reconfigure === undefined) throw startFailed(backend, NO_RECONFIGURE, undefined);
    try {
      await life.reconfigure(wish.userConfig);
    } catch (error) {
      throw startFailed(backend, "reconfigure() threw", error);
    }
  }
  // Looked at again: `start` and `reconfigure` may have set members.
  const target = targetOf(made);
  if (target.offers.door === undefined && target.offers.methods.length === 0) {
    throw refused(source, "an object without call(), fetch() or any method");
  }
  return target;
}

/**
 * Gives running code a new `userConfig`.
 * @throws ServeError `reconfigure-failed`
 */
export async function reconfigure(target: Target, backend: BackendTag, userConfig: Json | undefined): Promise<void> {
  const { reconfigure } = target.life;
  if (reconfigure === undefined) {
    if (userConfig === undefined) return;
    throw new ServeError("reconfigure-failed", `backend "${backend}": ${NO_RECONFIGURE}.`);
  }
  try {
    await reconfigure(userConfig);
  } catch (error) {
    throw new ServeError("reconfigure-failed", `backend "${backend}": reconfigure() threw: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

const NO_RECONFIGURE = "userConfig is set, and the code has no reconfigure() to take it; add the method or remove it";

/** Where a value was found, and the constructor arguments that go with it. */
interface Source {
  readonly file: string;
  readonly export: string;
  readonly value: unknown;
  readonly args: readonly unknown[];
}

async function findExport(
  loader: ModuleLoader,
  code: { readonly module: string; readonly export: string; readonly args: readonly unknown[] },
): Promise<Source> {
  const exports = await loader.load(code.module);
  const file = pathOfUrl(code.module);
  if (code.export === "*") return { file, export: "*", value: exports, args: code.args };
  if (!Object.hasOwn(exports, code.export)) {
    throw errorOf(exportNotFound({ file, wanted: code.export, exports: Object.keys(exports) }));
  }
  return { file, export: code.export, value: exports[code.export], args: code.args };
}

async function findInApp(loader: ModuleLoader, code: CodeRef & { readonly kind: "app" }): Promise<Source> {
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

function construct(source: Source, backend: BackendTag): object {
  const { value, args } = source;
  if (isApp(value)) throw refused(source, "an app made by defineApp({ … }), which `maitred run` and `deploy` take");
  if (backendRefOf(value) !== undefined) throw refused(source, "a backend({ … }), which createBackend takes");
  if (typeof (value as { then?: unknown } | null | undefined)?.then === "function") throw refused(source, "a promise");
  if (isClass(value)) {
    try {
      return new value(...resolveRefs(args));
    } catch (error) {
      throw startFailed(backend, `the constructor of ${value.name || "its class"} threw`, error);
    }
  }
  if (typeof value !== "function" && (typeof value !== "object" || value === null)) {
    throw refused(source, value === null || value === undefined ? String(value) : `a ${typeof value}`);
  }
  if (args.length > 0) {
    throw new ServeError(
      "target-invalid",
      `backend "${backend}": args are for the constructor of a class, and this is ${typeof value === "function" ? "a function" : "an object"}. Remove them.`,
    );
  }
  return value;
}

const refused = (source: Source, got: string): ServeError => errorOf(targetInvalid({ ...source, got }));

const errorOf = (problem: ModuleProblem): ServeError => new ServeError(problem.code, problem.message);

function startFailed(backend: BackendTag, what: string, cause: unknown): ServeError {
  if (cause === undefined) return new ServeError("start-failed", `backend "${backend}": ${what}.`);
  return new ServeError("start-failed", `backend "${backend}": ${what}: ${messageOf(cause)}`, { cause });
}
