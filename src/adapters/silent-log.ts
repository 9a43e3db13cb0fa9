import type { Log } from "../ports/log.ts";

/** For work in a user's program or the command line, where nobody reads a log: what goes wrong is told by the calls that wait for it. */
export const SILENT_LOG: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT_LOG };
