/**
 * Where the code of a backend is found. A replica imports it; nobody else does.
 * Constructor arguments are JSON; `{ "$endpoint": "embed" }` stands for a handle of that endpoint.
 */

import type { BackendTag } from "./ids.ts";
import type { Json } from "./json.ts";

export type CodeRef =
  /** An export of a module (`*` = the module itself); `module` is a file URL. */
  | { readonly kind: "export"; readonly module: string; readonly export: string; readonly args: readonly Json[] }
  /** `backends[backend].run` of the app that the module exports as default. Arguments are taken from the app file, `args` is their JSON for comparison. */
  | { readonly kind: "app"; readonly module: string; readonly backend: BackendTag; readonly args: readonly Json[] };

/** The same as REST takes it. */
export interface CodeBody {
  readonly module: string;
  /** Default: "default". */
  readonly export?: string | undefined;
  readonly args?: readonly Json[] | undefined;
  /** Set when the module's default export is an app: which of its backends. */
  readonly appBackend?: string | undefined;
}

export const codeRefOf = ({ module, export: name = "default", args = [], appBackend }: CodeBody): CodeRef =>
  appBackend === undefined
    ? { kind: "export", module, export: name, args }
    : { kind: "app", module, backend: appBackend as BackendTag, args };

/** What loading a module has read. */
export interface LoadedCode {
  /**
   * 64 hex digits, SHA-256 of every file outside node_modules that importing the module read, and of the nearest lock file. Times,
   * owners and the place of the folder do not count.
   */
  readonly files: string;
  /** URL of the module's file, symbolic links resolved. */
  readonly entry: string;
}

/** Which code a CodeRef meant when it was deployed, whatever lies in its folder now. */
export interface CodeIdentity extends LoadedCode {
  /** 64 hex digits, SHA-256 of all that decides what the code does: `files`, args, nodeArgs and codeVersion. */
  readonly digest: string;
  /** `kept`: replicas run the files as they were, from the state folder. `folder`: what lies in the folder when they start (`maitred run`). */
  readonly from: "kept" | "folder";
}

/** Whatever is not code but decides how it runs. */
export interface CodeSettings {
  readonly args: CodeRef["args"];
  readonly nodeArgs: readonly string[] | undefined;
  readonly codeVersion: string | undefined;
}
