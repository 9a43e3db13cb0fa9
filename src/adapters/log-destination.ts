/**
 * Where log lines go, and from which level on: JSON lines when the output is a file or pipe, a short form for people when it is a
 * terminal. `MAITRED_LOG=json|pretty` chooses the form, `MAITRED_LOG_LEVEL` the level (default info). Lines are written at once.
 */
import { isatty } from "node:tty";
import pc from "picocolors";
import type { LogFields } from "../ports/log.ts";
import { createLineSink, type LineSink } from "./line-sink.ts";
import { prettyLine } from "./pretty-line.ts";

const STDERR = 2;
const DEFAULT_LEVEL = "info";

export const LOG_LEVELS: readonly string[] = ["debug", "info", "warn", "error", "silent"];

type Env = Readonly<Record<string, string | undefined>>;

export interface LogOptions {
  /** On every line: which process this is. Default none. */
  readonly fields?: LogFields;
  /** Default: the process's own. */
  readonly env?: Env;
  /** Default: stderr; stdout belongs to user code. */
  readonly fd?: number;
}

export interface LogDestination {
  readonly sink: LineSink;
  readonly level: string;
  /** What the environment asks for, when there is no such level. */
  readonly unknownLevel: string | undefined;
}

/** Nothing that is written here throws. */
export function openLogDestination({ env = process.env, fd = STDERR }: LogOptions): LogDestination {
  const wanted = env["MAITRED_LOG_LEVEL"] ?? "";
  const level = LOG_LEVELS.includes(wanted) ? wanted : DEFAULT_LEVEL;
  return { sink: sinkOf(fd, env), level, unknownLevel: wanted === "" || level === wanted ? undefined : wanted };
}

function sinkOf(fd: number, env: Env): LineSink {
  const isTerminal = isatty(fd);
  const isPretty = env["MAITRED_LOG"] === "pretty" || (isTerminal && env["MAITRED_LOG"] !== "json");
  const colors = pc.createColors(wantsColor(env, isTerminal));
  const render = (line: string) => (isPretty ? prettyLine(line, colors) : line);

  const droppedLine = (count: number) =>
    render(`${JSON.stringify({ level: "warn", time: new Date().toISOString(), event: "log-lines-dropped", count })}\n`);
  const sink = createLineSink(fd, droppedLine);
  return { write: (line) => sink.write(render(line)) };
}

/** https://no-color.org: set and not empty. FORCE_COLOR wins over the missing terminal, NO_COLOR over both. */
const wantsColor = (env: Env, isTerminal: boolean): boolean => {
  const isSet = (name: string) => env[name] !== undefined && env[name] !== "";
  return !isSet("NO_COLOR") && (isTerminal || (isSet("FORCE_COLOR") && env["FORCE_COLOR"] !== "0"));
};
