/** Loads a user's module into this process. */
import type { CodeSettings } from "../model/code-ref.ts";

export type ModuleExports = Readonly<Record<string, unknown>>;

export interface ModuleLoader {
  /**
   * @param url a file URL or an absolute path.
   * Rejects with a ServeError of core/module-errors.ts: one sentence with its cure; the original error is its cause.
   */
  load(url: string): Promise<ModuleExports>;
}

/** One that knows what its loads have read. */
export interface CodeLoader extends ModuleLoader {
  /** CodeIdentity.digest of what the loads so far have read, under these settings; ends noting it. undefined: none has succeeded. */
  digest(settings: CodeSettings): Promise<string | undefined>;
}
