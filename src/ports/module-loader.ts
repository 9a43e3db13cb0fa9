/** Loads a user's module into this process. */

export type ModuleExports = Readonly<Record<string, unknown>>;

export interface ModuleLoader {
  /**
   * @param url a file URL or an absolute path.
   * Rejects with a ServeError of core/module-errors.ts: one sentence with its cure; the original error is its cause.
   */
  load(url: string): Promise<ModuleExports>;
}
