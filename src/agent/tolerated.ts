/**
 * Writes that an agent can do without for now: on a full disk, the worst moment for it to end. The failure is told, and what is written
 * is written again with the next change.
 */
import { isServeError, toErrorBody } from "../base/serve-error.ts";
import type { Log } from "../ports/log.ts";

export const tolerated = (log: Log, what: string, write: () => void): void => {
  try {
    write();
  } catch (error) {
    if (!isServeError(error)) throw error;
    log.error("file-not-written", { what, error: toErrorBody(error) });
  }
};
