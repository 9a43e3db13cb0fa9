/**
 * What the commands print, and where: results on stdout, everything else on stderr. Colours follow NO_COLOR, FORCE_COLOR and the
 * terminal. `--json` prints one JSON document on stdout and errors as `{ error: { code, message } }` on stderr.
 */
import pc from "picocolors";
import { isServeError, type ServeError } from "../base/serve-error.ts";
import { inCommandWords } from "./command-words.ts";

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Whether a person watches stderr: progress is shown only then. */
  readonly interactive: boolean;
  /** Of stdout and stderr. */
  readonly colour: Readonly<Record<"out" | "err", boolean>>;
  /** Of errors: for whoever looks for a bug (MAITRED_DEBUG=1). */
  readonly stacks: "shown" | "hidden";
}

export type Paint = ReturnType<typeof pc.createColors>;

export const paintOf = (terminal: Terminal): Paint => pc.createColors(terminal.colour.out);
export const paintErrorsOf = (terminal: Terminal): Paint => pc.createColors(terminal.colour.err);

/** Exit statuses of every command. */
export const EXIT = { done: 0, failed: 1, usage: 2, pending: 3, noInstance: 4 } as const;

const EXIT_OF_CODE: Readonly<Record<string, number>> = {
  usage: EXIT.usage,
  "instance-ambiguous": EXIT.usage,
  "goal-pending": EXIT.pending,
  "probe-pending": EXIT.pending,
  "run-timeout": EXIT.pending,
  "instance-unknown": EXIT.noInstance,
};

/** Prints the error; answers the exit status. */
export const reportError = (terminal: Terminal, error: unknown, format: "text" | "json"): number => {
  const known = knownOf(error);
  if (terminal.stacks === "shown" && error instanceof Error) terminal.err(`${error.stack}\n`);
  if (format === "json") terminal.err(`${JSON.stringify({ error: { code: known.code, message: known.message } })}\n`);
  else {
    const paint = paintErrorsOf(terminal);
    terminal.err(`${paint.red("error")} ${known.message} ${paint.dim(`[${known.code}]`)}\n`);
  }
  return EXIT_OF_CODE[known.code] ?? EXIT.failed;
};

const knownOf = (error: unknown): Pick<ServeError, "code" | "message"> => {
  if (isServeError(error)) return { code: error.code, message: inCommandWords(error) };
  if (isFolderGone(error)) return { code: "usage", message: FOLDER_GONE };
  const message = error instanceof Error ? error.message : String(error);
  return { code: "internal", message: `maitred hit a bug: ${message}. Set MAITRED_DEBUG=1 for the stack.` };
};

const FOLDER_GONE =
  "the folder in which the command was started is gone. Change to one that exists (`cd .` where it was made anew) and run the command again.";

/** `process.cwd()` says so, at whatever depth paths are made whole. */
const isFolderGone = (error: unknown): boolean =>
  error instanceof Error && (error as NodeJS.ErrnoException).syscall === "uv_cwd";

/** Columns of text, padded; the first row is the head. */
export const table = (rows: readonly (readonly string[])[], paint: Paint): string => {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map((row, index) => {
    const line = row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join("  ");
    return index === 0 ? paint.dim(line) : line;
  });
  return lines.map((line) => `  ${line}\n`).join("");
};
