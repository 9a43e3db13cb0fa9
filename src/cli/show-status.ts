/** `maitred status` for people: endpoints with weights and shadows, backends with wanted and running, every process. */
import { shortDigest } from "../core/code-digest.ts";
import type { Status } from "../model/status.ts";
import { metricsLine } from "./say-where.ts";
import { type Paint, table } from "./terminal.ts";

export const showStatus = (status: Status, paint: Paint): string =>
  [
    `${paint.bold(status.instance)}  ${status.phase}  ${status.urls.join(" ")}\n`,
    ...(status.problem === undefined ? [] : [paint.yellow(`${status.problem} Below is what was saved last.\n`)]),
    metricsLine(paint, status.metrics),
    section("Endpoints", endpointRows(status), paint),
    section("Backends", backendRows(status, paint), paint),
    ...status.backends.flatMap(({ drift = [] }) => drift.map((sentence) => paint.yellow(`  ${sentence}\n`))),
    section("Processes", processRows(status, paint), paint),
  ].join("\n");

const section = (title: string, rows: readonly (readonly string[])[], paint: Paint): string =>
  rows.length === 1 ? `${paint.bold(title)}  none\n` : `${paint.bold(title)}\n${table(rows, paint)}`;

const endpointRows = (status: Status): readonly (readonly string[])[] => [
  ["tag", "route", "methods", "traffic", "shadows"],
  ...status.endpoints.map((endpoint) => [
    endpoint.tag,
    endpoint.route ?? "-",
    endpoint.methods?.join(",") ?? "all",
    shares(endpoint.traffic),
    shares(endpoint.shadows) || "-",
  ]),
];

const backendRows = (status: Status, paint: Paint): readonly (readonly string[])[] => [
  ["tag", "running", "code", "goal", ""],
  ...status.backends.map((backend) => [
    backend.tag,
    `${backend.replicas.running}/${backend.replicas.wanted}`,
    codeOf(backend),
    backend.goal?.state ?? "-",
    paint.yellow(backend.reason ?? ""),
  ]),
];

/** `1a2b3c4d`; `1a2b3c4d in folder`: its replicas load what lies there when they start. */
const codeOf = ({ digest, codeFrom }: Status["backends"][number]): string =>
  digest === undefined ? "-" : `${shortDigest({ digest })}${codeFrom === "folder" ? " in folder" : ""}`;

const processRows = (status: Status, paint: Paint): readonly (readonly string[])[] => [
  ["name", "kind", "pid", "state", "restarts", "up", ""],
  ...status.processes.map((process) => [
    process.name,
    process.kind,
    String(process.pid ?? "-"),
    process.health === undefined ? process.state : `${process.state}, ${process.health}`,
    String(process.restarts),
    duration(process.uptimeMs),
    paint.yellow(process.error ?? ""),
  ]),
];

/** `iris:v1 90% · iris:v2 10%`. */
const shares = (weights: Readonly<Record<string, number>>): string =>
  Object.entries(weights)
    .map(([tag, share]) => `${tag} ${Number((share * 100).toFixed(3))}%`)
    .join(" · ");

/** `3h 12m`, `12m 4s`, `4s`. */
const duration = (ms: number): string => {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes}m ${seconds % 60}s` : `${Math.floor(minutes / 60)}h ${minutes % 60}m`;
};
