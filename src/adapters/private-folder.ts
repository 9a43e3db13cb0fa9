/**
 * Folders that only this user can look into: made where they are missing, refused where somebody else could have prepared them, and
 * given back when nothing was put into them. All problems are one error, `state-unwritable`, that names the folder.
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, rmdirSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf, ServeError } from "../base/serve-error.ts";

/**
 * Answers whether it was there.
 * @param refuse why the folder, as it was found, must not be taken; it is left as it is then.
 */
export function ensurePrivateFolder(
  path: string,
  refuse: (entries: readonly string[]) => string | undefined = () => undefined,
): "made" | "found" {
  try {
    const how = makeFolder(path);
    const found = lstatSync(path);
    if (!found.isDirectory()) throw unusable(path, "it is not a folder");
    if (process.getuid !== undefined && found.uid !== process.getuid()) {
      throw unusable(path, "it belongs to another user");
    }
    const refusal = refuse(readdirSync(path));
    if (refusal !== undefined) throw unusable(path, refusal);
    if ((found.mode & 0o077) !== 0) chmodSync(path, 0o700);
    return how;
  } catch (error) {
    if (error instanceof ServeError) throw error;
    throw unusable(path, messageOf(error), error);
  }
}

/** Removes a folder in which nothing is; one that is in use stays. */
export function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // somebody has put something there, or it is gone already
  }
}

export const unusable = (path: string, why: string, cause?: unknown): ServeError =>
  new ServeError("state-unwritable", `${path} cannot be used: ${why}. Name a folder that this user can write to.`, {
    cause,
  });

/**
 * With its parents. Node's own `recursive` never returns in a file system that takes no new folders, as /proc, and calls a
 * read-only one "no such file or directory".
 */
function makeFolder(path: string): "made" | "found" {
  try {
    mkdirSync(path, { mode: 0o700 });
    return "made";
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return "found";
    if (code !== "ENOENT" || isThere(dirname(path))) throw error;
    makeFolder(dirname(path));
    return makeFolder(path);
  }
}

const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;
