/**
 * ports/log.ts on pino: JSON lines when the output is a file or pipe, a short form for people when it is a terminal.
 * `MAITRED_LOG=json|pretty` chooses the form, `MAITRED_LOG_LEVEL` the level (default info). Lines are written at once, so the last
 * line before a crash is there; whatever happens to the output, logging never throws.
 */
import { isatty } from "node:tty";
import pc from "picocolors";
import { type Logger, pino, stdTimeFunctions } from "pino";
import type { Log, LogFields } from "../ports/log.ts";
import { createLineSink, type LineSink } from "./line-sink.ts";
import { toLogFields } from "./log-fields.ts";
import { prettyLine } from "./pretty-line.ts";

const STDOUT = 1;
const LEVELS: readonly string[] = ["debug", "info", "warn", "error", "silent"];
const DEFAULT_LEVEL = "info";

export interface PinoLogOptions {
  /** On every line: which process this is. Default none. */
  readonly fields?: LogFields;
  /** Default: the process's own. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default: stdout. */
  readonly fd?: number;
}

export function createPinoLog({ fields = {}, env = process.env, fd = STDOUT }: PinoLogOptions = {}): Log {
  const wanted = env["MAITRED_LOG_LEVEL"] ?? "";
  const level = LEVELS.includes(wanted) ? wanted : DEFAULT_LEVEL;
  const logger = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination(fd, env),
  );
  const log = toLog(logger.child(toLogFields(fields)));
  if (wanted !== "" && level !== wanted) log.warn("log-level-unknown", { wanted, used: level, known: LEVELS });
  return log;
}

function destination(fd: number, env: Readonly<Record<string, string | undefined>>): LineSink {
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
const wantsColor = (env: Readonly<Record<string, string | undefined>>, isTerminal: boolean): boolean => {
  const isSet = (name: string) => env[name] !== undefined && env[name] !== "";
  return !isSet("NO_COLOR") && (isTerminal || (isSet("FORCE_COLOR") && env["FORCE_COLOR"] !== "0"));
};

const toLog = (logger: Logger): Log => ({
  debug: (event, fields) => write(logger, "debug", event, fields),
  info: (event, fields) => write(logger, "info", event, fields),
  warn: (event, fields) => write(logger, "warn", event, fields),
  error: (event, fields) => write(logger, "error", event, fields),
  child: (fields) => toLog(logger.child(toLogFields(fields))),
});

function write(
  logger: Logger,
  level: "debug" | "info" | "warn" | "error",
  event: string,
  fields: LogFields = {},
): void {
  if (logger.isLevelEnabled(level)) logger[level]({ event, ...toLogFields(fields) });
}
