/**
 * What is common to the sentences about modules that cannot be loaded: their codes, the cure that always works, paths of file URLs.
 */

export type ModuleErrorCode =
  | "module-not-found"
  | "module-syntax"
  | "module-unsupported-syntax"
  | "module-load-failed"
  | "export-not-found"
  | "target-invalid";

export interface ModuleProblem {
  readonly code: ModuleErrorCode;
  readonly message: string;
}

/** Looks at the disk; undefined and false also when that is not possible. */
export interface SourceFiles {
  read(path: string): string | undefined;
  exists(path: string): boolean;
}

/** How far up a tsconfig.json or package.json is looked for; projects are not deeper. */
export const MAX_FOLDERS_UP = 16;

/** The way out that always works; ends a sentence. */
export const TSX_CURE = 'or run the backend with nodeArgs: ["--import", "tsx"]';

/** The sentence of TypeScript that only a build step or a bundler understands. */
export const unsupported = (place: string, rest: string): ModuleProblem => ({
  code: "module-unsupported-syntax",
  message: `module ${place}: ${rest}`,
});

/** `file:///srv/my%20app.ts?x` → `/srv/my app.ts`. */
export function pathOfUrl(url: string): string {
  if (!url.startsWith("file:")) return url;
  const path = url.slice("file://".length).replace(/[?#].*$/, "");
  try {
    return decodeURIComponent(path);
  } catch {
    // Not made by Node: shown as it is.
    return path;
  }
}
