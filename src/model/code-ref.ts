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
