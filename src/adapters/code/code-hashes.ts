/** Hashes of the files of loaded code and of the lock files that stand for its packages, and the digest of all of them. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { filesDigest, type HashedFile } from "../../core/code-digest.ts";
import type { LoadedCode } from "../../model/code-ref.ts";
import { pathOf, readBytes } from "./user-code.ts";

export interface CodeHashes {
  readonly files: readonly HashedFile[];
  readonly locks: readonly HashedFile[];
}

/** @param entry URL of the file of the module that was asked for. */
export const hashesOf = (files: ReadonlyMap<string, Uint8Array>, entry: string): CodeHashes => ({
  files: hashFiles(files, entry),
  locks: nearestLocks(entry),
});

/** Names are relative to the folder of the entry, with `/`. */
export const hashFiles = (files: ReadonlyMap<string, Uint8Array>, entry: string): readonly HashedFile[] => {
  const folder = dirname(pathOf(entry));
  return Array.from(files, ([path, bytes]) => ({
    name: relative(folder, path).split(sep).join("/"),
    sha256: hashOf(bytes),
  }));
};

export const loadedCodeOf = (entry: string, { files, locks }: CodeHashes): LoadedCode => ({
  files: filesDigest(files, locks),
  entry,
});

const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

const LOCK_FILES = [
  "package-lock.json",
  "npm-shrinkwrap.json",
  "yarn.lock",
  "pnpm-lock.yaml",
  "bun.lock",
  "bun.lockb",
] as const;

/** The lock files of the nearest folder above that has any: what they pin stands for everything in node_modules. */
const nearestLocks = (entry: string): readonly HashedFile[] => {
  for (let folder = dirname(pathOf(entry)); ; folder = dirname(folder)) {
    const found = LOCK_FILES.filter((name) => existsSync(join(folder, name))).flatMap((name) => {
      const bytes = readBytes(join(folder, name));
      return bytes === undefined ? [] : [{ name, sha256: hashOf(bytes) }];
    });
    if (found.length > 0 || folder === dirname(folder)) return found;
  }
};
