/**
 * What a program gives as code, as REST takes it: `backend({...})` values, app entries, arguments.
 * Only places travel, never code; a replica imports the module.
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { ServeError } from "../base/serve-error.ts";
import type { CodeBody } from "../model/code-ref.ts";
import type { Json } from "../model/json.ts";
import { jsonOf } from "./json-values.ts";

/** The body of `backend({ module, export, args })`. `subject` starts the messages. */
export const codeBodyOf = (reference: unknown, subject: string): CodeBody => {
  const given = (typeof reference === "object" && reference !== null ? reference : {}) as {
    module?: unknown;
    export?: unknown;
    args?: unknown;
  };
  const { module: place, export: name, args } = given;
  if (!(place instanceof URL) && typeof place !== "string") {
    throw new ServeError(
      "config-invalid",
      `${subject}: pass backend({ module, export, args }): module is a file URL or a path, got ${typeof place}.`,
    );
  }
  return {
    module: moduleUrlOf(place),
    ...(name === undefined ? {} : { export: String(name) }),
    ...(args === undefined ? {} : { args: jsonArgs(args as readonly unknown[], subject) }),
  };
};

/** A path is relative to the current folder. */
export const moduleUrlOf = (place: URL | string): string => {
  if (place instanceof URL) return place.href;
  return place.startsWith("file:") ? place : pathToFileURL(resolve(place)).href;
};

/** Constructor arguments as JSON; `ref()` is JSON already. Throws with the path of what cannot be saved. */
export const jsonArgs = (args: readonly unknown[], subject: string): readonly Json[] =>
  args.map((value, index) =>
    jsonOf(value, {
      path: `${subject}: args[${index}]`,
      cure: "constructor arguments are saved as JSON; pass JSON values or ref(endpoint)",
    }),
  );

/** The paths in a backend's configuration as seen from a folder: what they are relative to does not travel. */
export const withPaths = <T extends object>(config: T, folder: string): T => {
  // What is no configuration at all is refused where it is checked.
  if (typeof config !== "object" || config === null) return config;
  const { envFile, cwd } = config as { readonly envFile?: unknown; readonly cwd?: unknown };
  return {
    ...config,
    ...(typeof envFile === "string" ? { envFile: resolve(folder, envFile) } : {}),
    ...(typeof cwd === "string" ? { cwd: resolve(folder, cwd) } : {}),
  };
};

/** The configuration of a backend or endpoint as JSON; fields that are undefined are not set. Throws as `jsonArgs` does. */
export const jsonConfig = (config: object, subject: string): Json =>
  Object.fromEntries(
    Object.entries(config)
      .filter(([, value]) => value !== undefined)
      .map(([field, value]) => [
        field,
        jsonOf(value, { path: `${subject}: ${field}`, cure: "configuration is saved as JSON; pass JSON values" }),
      ]),
  );
