/** The main files of the programs that an agent runs. */

export interface Entries {
  readonly controller: string;
  readonly proxy: string;
  /** Of the `maitred` that this module (a file URL) itself would import, so that user code and replica share one copy. */
  replica(module: string): string;
  /** Of the same copy: what it finds is what a replica will find. */
  probe(module: string): string;
}
