/**
 * Which loaded files are the user's code: everything outside node_modules but maitred itself, which runs from a checkout outside
 * node_modules too. Packages that are linked into node_modules lie elsewhere in truth and count.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

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
