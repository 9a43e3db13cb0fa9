/**
 * ports/log.ts on pino, for agents, controllers and proxies. Form and level: log-destination.ts. The last line before a crash is
 * there; whatever happens to the output, logging never throws.
 */
import { type Logger, pino, stdTimeFunctions } from "pino";
import type { Log, LogFields } from "../ports/log.ts";
import { LOG_LEVELS, type LogOptions, openLogDestination } from "./log-destination.ts";
import { toLogFields } from "./log-fields.ts";

export function createPinoLog(options: LogOptions = {}): Log {
  const { sink, level, unknownLevel } = openLogDestination(options);
  const logger = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    sink,
  );
  const log = toLog(logger.child(toLogFields(options.fields ?? {})));
  if (unknownLevel !== undefined)
    log.warn("log-level-unknown", { wanted: unknownLevel, used: level, known: LOG_LEVELS });
  return log;
}

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
