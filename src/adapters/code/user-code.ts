/**
 * Which loaded files are the user's code, and what identifies them: everything outside node_modules but maitred itself, which runs from
 * a checkout outside node_modules too. Packages that are linked into node_modules lie elsewhere in truth and count.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { HashedFile } from "../../core/code-digest.ts";

const OWN_FOLDERS = ["src/", "dist/", "bin/"].map((folder) => new URL(`../../../${folder}`, import.meta.url).href);

export const isUserCode = (url: string): boolean =>
  url.startsWith("file:") && !url.includes("/node_modules/") && !isOwnCode(url);

export const isOwnCode = (url: string): boolean => OWN_FOLDERS.some((folder) => url.startsWith(folder));

/** A loader may tell versions of one file apart by a query. */
export const pathOf = (url: string): string => fileURLToPath(url.replace(/[?#].*$/, ""));

/** Undefined when it is gone: then nothing can have been loaded from it either. */
export const readBytes = (path: string): Buffer | undefined => {
  try {
    return readFileSync(path);
  } catch {
    return undefined; // whoever loads it says so in better words
  }
};

export const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Relative to the folder of the module that was asked for, with `/`. */
export const nameOf = (path: string, entry: string): string =>
  relative(dirname(pathOf(entry)), path)
    .split(sep)
    .join("/");

const LOCK_FILES = [
  "package-lock.json",
  "npm-shrinkwrap.json",
  "yarn.lock",
  "pnpm-lock.yaml",
  "bun.lock",
  "bun.lockb",
] as const;

/** The lock files of the nearest folder above that has any: what they pin stands for everything in node_modules. */
export const nearestLocks = (entry: string): readonly HashedFile[] => {
  for (let folder = dirname(pathOf(entry)); ; folder = dirname(folder)) {
    const found = LOCK_FILES.filter((name) => existsSync(join(folder, name))).flatMap((name) => {
      const bytes = readBytes(join(folder, name));
      return bytes === undefined ? [] : [{ name, sha256: hashOf(bytes) }];
    });
    if (found.length > 0 || folder === dirname(folder)) return found;
  }
};
