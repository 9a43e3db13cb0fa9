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

/** Which code a CodeRef meant when it was deployed, whatever lies in its folder now. */
export interface CodeIdentity {
  /**
   * 64 hex digits, SHA-256 of all that decides what the code does: every file outside node_modules that loading the module read, the
   * nearest lock file, args, nodeArgs and codeVersion. Times, owners and the place of the folder do not count.
   */
  readonly digest: string;
  /** `kept`: replicas run the files as they were, from the state folder. `folder`: what lies in the folder when they start (`maitred run`). */
  readonly from: "kept" | "folder";
}
