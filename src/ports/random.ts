/** Randomness: everything random in role code comes from here, so that a seed replays it. */

export interface Random {
  /** Uniform in [0, 1). */
  number(): number;
  /** An id of 96 random bits in 24 hex digits: goal ids, client ids, instance ids. */
  id(): string;
}
