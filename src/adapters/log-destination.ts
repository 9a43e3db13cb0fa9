/**
 * Where log lines go, and from which level on. A process of an instance has a log file: JSON lines, from level info on. Where its
 * output is not that file but belongs to somebody else (the terminal of `maitred run`, a program's stderr), the lines that a person
 * should look at go there as well: from level warn on, short, without stacks, and without what that person is told in another way.
 * `MAITRED_LOG=json|pretty` chooses the form of the output, `MAITRED_LOG_LEVEL` the level of both; `debug` leaves nothing out.
 */
import { isatty } from "node:tty";
import pc from "picocolors";
import type { LogFields } from "../ports/log.ts";
import { createLineSink, type LineSink } from "./line-sink.ts";
import { isFile, openLogFile } from "./log-file.ts";
import { prettyLine } from "./pretty-line.ts";

const STDERR = 2;
const DEFAULT_LEVEL = "info";
const DEFAULT_SHARED_LEVEL = "warn";

export const LOG_LEVELS: readonly string[] = ["debug", "info", "warn", "error", "silent"];

type Env = Readonly<Record<string, string | undefined>>;

export interface LogOptions {
  /** On every line: which process this is. Default none. */
  readonly fields?: LogFields;
  /** The log file of this process. Default none: the output takes every line. */
  readonly file?: string;
  /** Default: the process's own. */
  readonly env?: Env;
  /** The output. Default: stderr; stdout belongs to user code. */
  readonly fd?: number;
}

export interface LogDestination {
  readonly sink: LineSink;
  /** The lowest level that goes anywhere. */
  readonly level: string;
  /** What the environment asks for, when there is no such level. */
  readonly unknownLevel: string | undefined;
}

/** Nothing that is written here throws. */
export function openLogDestination({ env = process.env, fd = STDERR, file }: LogOptions): LogDestination {
  const asked = env["MAITRED_LOG_LEVEL"] ?? "";
  const known = LOG_LEVELS.includes(asked) ? asked : undefined;
  const level = known ?? DEFAULT_LEVEL;
  const unknownLevel = asked === "" || known !== undefined ? undefined : asked;
  if (file === undefined || isFile(fd, file)) {
    return { sink: outputSink(fd, { env, whenNotTold: "json" }), level, unknownLevel };
  }
  const ownFd = openLogFile(file);
  const own = ownFd === undefined ? undefined : jsonSink(ownFd);
  const output = outputSink(fd, { env, whenNotTold: "pretty" });
  const least = known ?? DEFAULT_SHARED_LEVEL;
  const sink: LineSink = {
    write(line) {
      own?.write(line);
      if (isForPeople(line, least)) output.write(line);
    },
  };
  return { sink, level, unknownLevel };
}

/** `toldBy` names another way by which the person in front of the output learns of it. */
function isForPeople(line: string, least: string): boolean {
  const { level, toldBy } = JSON.parse(line) as { readonly level: string; readonly toldBy?: string };
  if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(least)) return false;
  return toldBy === undefined || least === "debug";
}

const jsonSink = (fd: number): LineSink => createLineSink(fd, droppedLine);

function outputSink(
  fd: number,
  { env, whenNotTold }: { readonly env: Env; readonly whenNotTold: "json" | "pretty" },
): LineSink {
  const isTerminal = isatty(fd);
  const asked = env["MAITRED_LOG"];
  const usual = isTerminal ? "pretty" : whenNotTold;
  if ((asked === "json" || asked === "pretty" ? asked : usual) === "json") return jsonSink(fd);
  const colors = pc.createColors(wantsColor(env, isTerminal));
  const stacks = env["MAITRED_LOG_LEVEL"] === "debug" ? "shown" : "hidden";
  const render = (line: string) => prettyLine(line, { colors, stacks });
  const sink = createLineSink(fd, (count) => render(droppedLine(count)));
  return { write: (line) => sink.write(render(line)) };
}

const droppedLine = (count: number): string =>
  `${JSON.stringify({ level: "warn", time: new Date().toISOString(), event: "log-lines-dropped", count })}\n`;

/** https://no-color.org: set and not empty. FORCE_COLOR wins over the missing terminal, NO_COLOR over both. */
export const wantsColor = (env: Env, isTerminal: boolean): boolean => {
  const isSet = (name: string) => env[name] !== undefined && env[name] !== "";
  return !isSet("NO_COLOR") && (isTerminal || (isSet("FORCE_COLOR") && env["FORCE_COLOR"] !== "0"));
};
