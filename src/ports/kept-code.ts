/** The kept code of a node: one file for each `keptCodeName` (core/code-digest.ts). */

export interface KeptCodeFiles {
  /** Those that are there, and what unfinished writes have left. */
  names(): readonly string[];
  /** What is not there is already removed. */
  remove(name: string): void;
}
