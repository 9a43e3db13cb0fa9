/** One thing that the controller does, or would do, and why: what `plan` lists, and what `explain` remembers of each thing. */
export interface Action {
  /** A verb and a kind of thing: `start replica`, `update backend`. `wait`: what would still be missing in the end, and for what. */
  readonly action: string;
  /** Tag, process or instance name. */
  readonly target: string;
  /** The rest of a sentence. */
  readonly reason: string;
}
