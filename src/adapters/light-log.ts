/**
 * ports/log.ts for replicas, of which there are many and each starts while somebody waits: the same lines as pino-log.ts without
 * pino, whose import is 20 ms and 6 MB. It logs little: the life of the process and what handlers throw.
 */
import type { Log, LogFields } from "../ports/log.ts";
import { LOG_LEVELS, type LogDestination, type LogOptions, openLogDestination } from "./log-destination.ts";
import { toLogFields } from "./log-fields.ts";

export function createLightLog(options: LogOptions = {}): Log {
  const destination = openLogDestination(options);
  const log = logTo(destination, toLogFields(options.fields ?? {}));
  const { level, unknownLevel } = destination;
  if (unknownLevel !== undefined)
    log.warn("log-level-unknown", { wanted: unknownLevel, used: level, known: LOG_LEVELS });
  return log;
}

function logTo({ sink, level, unknownLevel }: LogDestination, common: LogFields): Log {
  const lowest = LOG_LEVELS.indexOf(level);
  const write = (label: string) => {
    const isOn = LOG_LEVELS.indexOf(label) >= lowest;
    return (event: string, fields: LogFields = {}): void => {
      if (!isOn) return;
      const line = { level: label, time: new Date().toISOString(), ...common, event, ...toLogFields(fields) };
      sink.write(`${JSON.stringify(line)}\n`);
    };
  };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    child: (fields) => logTo({ sink, level, unknownLevel }, { ...common, ...toLogFields(fields) }),
  };
}
