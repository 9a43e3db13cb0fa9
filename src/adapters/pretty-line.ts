/**
 * A log line for people, made from the JSON line: `12:03:04.123 warn replica-exited replica=iris:v1#2 code=1`. An error is its name,
 * its message and the place in the user's code; the stack comes only when it is asked for. What users and requests bring into a field
 * cannot steer the terminal.
 */
import type pc from "picocolors";
import { placeInStack } from "../core/error-place.ts";

type Colors = ReturnType<typeof pc.createColors>;

export interface PrettyOptions {
  readonly colors: Colors;
  readonly stacks: "shown" | "hidden";
}

export function prettyLine(jsonLine: string, { colors, stacks }: PrettyOptions): string {
  const { level, time, event, ...fields } = JSON.parse(jsonLine) as Record<string, unknown>;
  const parts = [
    colors.dim(timeOfDay(String(time))),
    levelText(String(level), colors),
    colors.bold(printable(String(event))),
    ...Object.entries(fields).map(([name, value]) => `${colors.dim(`${printable(name)}=`)}${valueText(value)}`),
  ];
  const below = stacks === "hidden" ? [] : Object.values(fields).flatMap(stackLines);
  return `${[parts.join(" "), ...below].join("\n")}\n`;
}

const timeOfDay = (time: string): string => {
  const date = new Date(time);
  const digits = (value: number, count: number) => String(value).padStart(count, "0");
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => digits(part, 2)).join(":");
  return `${clock}.${digits(date.getMilliseconds(), 3)}`;
};

function levelText(level: string, colors: Colors): string {
  const text = level.padEnd(5);
  if (level === "error") return colors.red(text);
  return level === "warn" ? colors.yellow(text) : colors.dim(text);
}

function valueText(value: unknown): string {
  if (isErrorLike(value)) {
    const kind = value.code ?? value.name;
    const place = placeOf(value);
    const text = kind === undefined || kind === "Error" ? value.message : `${kind}: ${value.message}`;
    return valueText(place === undefined || text.includes(place) ? text : `${text} (${place})`);
  }
  if (typeof value === "string" && /^[^\s"=]+$/.test(value)) return printable(value);
  return printable(JSON.stringify(value));
}

interface ErrorLike {
  readonly code?: string;
  readonly name?: string;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: unknown;
}

const isErrorLike = (value: unknown): value is ErrorLike =>
  typeof value === "object" && value !== null && "message" in value && typeof value.message === "string";

/** Of the error, or of what caused it. */
const placeOf = ({ stack, cause }: ErrorLike): string | undefined =>
  placeInStack(stack) ?? (isErrorLike(cause) ? placeOf(cause) : undefined);

/** Of all errors in a field, the outer one first. */
function stackLines(value: unknown): readonly string[] {
  if (!isErrorLike(value)) return [];
  const own = (value.stack ?? "").split("\n").map((line) => printable(line));
  return [...(value.stack === undefined ? [] : own), ...stackLines(value.cause)];
}

/** Control characters as their escapes. */
const printable = (text: string): string =>
  text.replace(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
