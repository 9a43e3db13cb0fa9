/**
 * A log line for people at a terminal, made from the JSON line: `12:03:04.123 warn replica-exited replica=iris:v1#2 code=1`.
 * No stacks: they are in the JSON form (MAITRED_LOG=json). What users and requests bring into a field cannot steer the terminal.
 */
import type pc from "picocolors";

type Colors = ReturnType<typeof pc.createColors>;

export function prettyLine(jsonLine: string, colors: Colors): string {
  const { level, time, event, ...fields } = JSON.parse(jsonLine) as Record<string, unknown>;
  const parts = [
    colors.dim(timeOfDay(String(time))),
    levelText(String(level), colors),
    colors.bold(printable(String(event))),
    ...Object.entries(fields).map(([name, value]) => `${colors.dim(`${printable(name)}=`)}${valueText(value)}`),
  ];
  return `${parts.join(" ")}\n`;
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
  if (isErrorLike(value))
    return valueText(value.code === undefined ? value.message : `${value.code}: ${value.message}`);
  if (typeof value === "string" && /^[^\s"=]+$/.test(value)) return printable(value);
  return printable(JSON.stringify(value));
}

const isErrorLike = (value: unknown): value is { readonly code?: string; readonly message: string } =>
  typeof value === "object" && value !== null && "message" in value && typeof value.message === "string";

/** Control characters as their escapes. */
const printable = (text: string): string =>
  text.replace(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
