/**
 * How a process that cannot start tells whoever started it why: a file named after its pid. The agent writes one for `launchInstance`,
 * the controller one for its agent; the reader deletes it.
 */
import { fromErrorBody, isServeError, type ServeError, toErrorBody } from "../base/serve-error.ts";
import { runFiles } from "../model/places.ts";
import { readJson, removeFile, writeWhole } from "./whole-files.ts";

/** For the process itself, before it exits with a status that is not 0. Where nothing can be written the status alone must do. */
export function leaveStartFailure(runDir: string, error: unknown): void {
  const { code, message, retryable } = toErrorBody(error);
  try {
    writeWhole(runFiles(runDir).startFailure(process.pid), JSON.stringify({ code, message, retryable }), "quickly");
  } catch (failure) {
    if (!isServeError(failure)) throw failure;
  }
}

export function takeStartFailure(runDir: string, pid: number): ServeError | undefined {
  const path = runFiles(runDir).startFailure(pid);
  const body = readJson<{ code: string; message: string; retryable: boolean }>(path);
  if (body === undefined) return undefined;
  removeFile(path);
  return fromErrorBody(body);
}
