/**
 * The two ways to say when. An instant is monotonic milliseconds of this process: everything that is decided by time is decided by it.
 * A timestamp is wall-clock milliseconds since 1970: for people, and for how long things are kept.
 */

export type Instant = number;
export type Timestamp = number;
