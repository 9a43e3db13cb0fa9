/** A process of ours that breaks says so in its log, as everything else, and ends with 1: Node would print the stack to whoever is there. */
import type { Log } from "../ports/log.ts";

export function logCrash(log: Log): void {
  process.on("uncaughtException", (error) => {
    log.error("process-crashed", { error });
    process.exit(1);
  });
}
