/**
 * Every metric of the product in one table: its kind, its labels and what it means. `docs/metrics.md` is made from it, the text of a
 * scrape is written by it, and nothing that is not in it can be counted. Names are stable; a new meaning is a new name.
 */
import type { Scale } from "../base/histogram.ts";

/** Recorded in milliseconds, written in seconds: 0.000125, 0.00025 … 65.536. */
export const DURATION: Scale = { first: 0.125, edges: 20 };
/** 1, 2, 4 … 1024. */
export const SIZE: Scale = { first: 1, edges: 11 };

/** Which processes count it. `agent`: of its own knowledge, for each process. */
export type MetricSource = "proxy" | "router" | "replica" | "controller" | "agent";

interface MetricInfo {
  readonly kind: "counter" | "gauge" | "histogram";
  readonly source: MetricSource;
  readonly labels: readonly string[];
  readonly help: string;
  /** Of a histogram. */
  readonly scale?: Scale;
}

const counter = <const L extends readonly string[]>(source: MetricSource, labels: L, help: string) =>
  ({ kind: "counter", source, labels, help }) as const;
const gauge = <const L extends readonly string[]>(source: MetricSource, labels: L, help: string) =>
  ({ kind: "gauge", source, labels, help }) as const;
const seconds = <const L extends readonly string[]>(source: MetricSource, labels: L, help: string) =>
  ({ kind: "histogram", source, labels, help, scale: DURATION }) as const;
const sizes = <const L extends readonly string[]>(source: MetricSource, labels: L, help: string) =>
  ({ kind: "histogram", source, labels, help, scale: SIZE }) as const;

const METRICS = {
  // ── the HTTP edge
  maitred_http_requests_total: counter("proxy", ["endpoint", "status"], "HTTP requests that have ended."),
  maitred_http_request_seconds: seconds(
    "proxy",
    ["endpoint"],
    "From the head of a request to the last byte of its answer given to the kernel, or to the client's leaving.",
  ),
  maitred_http_problems_total: counter(
    "proxy",
    ["code"],
    "Problem documents answered, by error code: requests refused, failures on the way, what handlers threw.",
  ),
  maitred_http_open_connections: gauge("proxy", [], "Connections of clients that are open."),
  maitred_http_connections_total: counter("proxy", [], "Connections of clients that were accepted."),
  maitred_http_connections_refused_total: counter("proxy", [], "Connections closed at once: too many were open."),
  // ── routers, wherever they are
  maitred_router_queries_total: counter(
    "router",
    ["from", "endpoint", "outcome"],
    "Queries that have ended, without shadows: `answered`, `failed`, `cancelled` (by the caller).",
  ),
  maitred_router_query_seconds: seconds(
    "router",
    ["from", "endpoint"],
    "From the router's getting a query to its end, whatever the end.",
  ),
  maitred_router_failures_total: counter("router", ["from", "code"], "Queries that ended in an error, by its code."),
  maitred_router_sent_total: counter(
    "router",
    ["from", "backend"],
    "Queries given to a replica, each once; without shadows.",
  ),
  maitred_router_wait_seconds: seconds(
    "router",
    ["from", "backend"],
    "From the router's getting a query to its being given to a replica for the first time; without shadows.",
  ),
  maitred_router_waiting: gauge(
    "router",
    ["from", "backend"],
    "Queries that wait for a replica; `_none`: for word of their endpoint.",
  ),
  maitred_router_refusals_total: counter(
    "router",
    ["from", "backend", "reason"],
    "Queries that a replica handed back without having started them: `busy`, `draining`.",
  ),
  maitred_router_retries_total: counter(
    "router",
    ["from", "backend"],
    "Queries run again after the replica that had them was lost.",
  ),
  maitred_router_ejections_total: counter(
    "router",
    ["from", "backend", "reason"],
    "Times that a replica was left alone for a while: `unreachable`, `leaving` (it said goodbye), `silent` (its process answers no pings), `outlier` (it fails, or is slow, where its siblings are not).",
  ),
  maitred_router_shadows_total: counter(
    "router",
    ["from", "backend", "outcome"],
    "Copies for shadow backends: `sent` and `dropped` add up to those that were drawn; of those sent some `failed`, or were `returned` without having run.",
  ),
  // ── the wire
  maitred_wire_in_flight: gauge("router", ["from", "backend"], "Queries that are with a replica, shadows too."),
  maitred_wire_connections: gauge("router", ["from", "backend"], "Connections to replicas."),
  maitred_wire_bytes_total: counter("router", ["from", "direction"], "Bytes to and from replicas, frames included."),
  // ── replicas
  maitred_replica_running: gauge("replica", ["backend", "process"], "Queries that run in a replica."),
  maitred_replica_limit: gauge("replica", ["backend", "process"], "How many may: maxConcurrentQueries."),
  maitred_replica_refusals_total: counter(
    "replica",
    ["backend", "reason"],
    "Queries refused before they started: `busy`, `draining`.",
  ),
  maitred_handler_queries_total: counter(
    "replica",
    ["backend", "method", "outcome"],
    "Queries that have ended in a replica, shadows too: `ok`, `refused` (an answer or error of status 4xx), `error`, `cancelled`, `expired`.",
  ),
  maitred_handler_seconds: seconds(
    "replica",
    ["backend", "method"],
    "From a query's arrival in a replica to the last part of its result.",
  ),
  maitred_batches_total: counter(
    "replica",
    ["backend", "reason"],
    "Batches that were started: `full`, `timer` (its time was over), `drain`, `changed` (another configuration, or another object's item).",
  ),
  maitred_batch_items: sizes("replica", ["backend"], "Items of a batch when it starts."),
  maitred_batch_wait_seconds: seconds("replica", ["backend"], "From the first item of a batch to its start."),
  // ── the controller
  maitred_controller_epoch: gauge("controller", [], "Epoch of the controller that leads; 0 while it does not."),
  maitred_controller_turn_seconds: seconds("controller", [], "Turns of its loop: decide, save, reply, publish."),
  maitred_controller_save_seconds: seconds("controller", [], "Transactions of turns that changed something."),
  maitred_controller_save_failures_total: counter(
    "controller",
    ["reason"],
    "Transactions that were not saved: `refused`, `fenced` (another controller leads), `unknown`.",
  ),
  maitred_controller_calls_total: counter(
    "controller",
    ["call", "outcome"],
    "Calls that it has answered: `accepted`, `refused`.",
  ),
  maitred_controller_goals_pending: gauge("controller", [], "Goals that are not settled."),
  maitred_controller_goals_settled_total: counter(
    "controller",
    ["outcome"],
    "Goals that it has settled: `reached`, `failed`, `superseded`.",
  ),
  maitred_controller_poll_clients: gauge("controller", [], "Routers that follow this controller by long poll."),
  maitred_controller_snapshots_total: counter("controller", [], "Snapshots published to routers."),
  // ── the agent, of its node
  maitred_actors: gauge("agent", ["kind", "state"], "Replicas and proxies of this node, by state."),
  maitred_actor_starts_total: counter("agent", ["kind", "backend"], "Processes started."),
  maitred_actor_exits_total: counter(
    "agent",
    ["kind", "backend", "reason"],
    "Processes that have ended: `ordered`, or `unexpected`.",
  ),
  // ── every process
  maitred_process_up: gauge("agent", ["process", "kind"], "1: it answered this scrape. 0: it lives and did not."),
  maitred_process_restarts: gauge(
    "agent",
    ["process", "kind"],
    "Processes of this name before the present one; actors and controller.",
  ),
  maitred_process_start_time_seconds: gauge("agent", ["process", "kind"], "When it started, since 1970."),
  maitred_process_cpu_seconds_total: counter("agent", ["process", "kind"], "User and system time."),
  maitred_process_resident_memory_bytes: gauge("agent", ["process", "kind"], "Resident memory."),
  maitred_process_heap_bytes: gauge("agent", ["process", "kind"], "Used heap of V8."),
  maitred_process_loop_busy_seconds_total: counter(
    "agent",
    ["process", "kind"],
    "Time in which its event loop worked.",
  ),
  maitred_info: gauge("agent", ["instance", "node", "version"], "Always 1."),
} as const satisfies Record<string, MetricInfo>;

export type MetricName = keyof typeof METRICS;
type NamesOf<K extends MetricInfo["kind"]> = {
  [N in MetricName]: (typeof METRICS)[N]["kind"] extends K ? N : never;
}[MetricName];
export type CounterName = NamesOf<"counter">;
export type GaugeName = NamesOf<"gauge">;
export type HistogramName = NamesOf<"histogram">;
/** Each label of a metric and its value. */
export type LabelsOf<N extends MetricName> = { readonly [L in (typeof METRICS)[N]["labels"][number]]: string };

export const METRIC_NAMES = Object.keys(METRICS) as readonly MetricName[];

/** The table's row, as the same type for all. */
export const metricInfo = (name: MetricName): MetricInfo => METRICS[name];

interface LabelInfo {
  /** Its values are names that people give: beyond MAX_METRIC_NAMES of them a new one counts as OTHER_NAME. */
  readonly named: boolean;
  readonly meaning: string;
}

const name = (meaning: string): LabelInfo => ({ named: true, meaning });
const oneOf = (meaning: string): LabelInfo => ({ named: false, meaning });

export const METRIC_LABELS: Readonly<Record<string, LabelInfo>> = {
  endpoint: name(
    "Tag of an endpoint, never a path. `_none`: no endpoint answers the request, or its name is not known; `_admin`: `/-/…` of a proxy.",
  ),
  backend: name("Tag of a backend; `_none`: none, or not known yet."),
  method: name("Method of the backend; `_door`: its door; `_none`: one that it does not have."),
  code: name("Error code (errors.md); `_other`: one that is not of that table."),
  process: name("Name of a process, as `status` shows it."),
  status: oneOf(
    "`2xx`, `3xx`, `4xx`, `5xx`; `gone`: the client left before its answer was whole; `cut`: the answer broke off.",
  ),
  outcome: oneOf("How it ended; each metric says which there are."),
  reason: oneOf("Why; each metric says which there are."),
  from: oneOf(
    "Whose router: `proxy`, `replica` (handles in a backend's code), `program` (handles in a user's program).",
  ),
  direction: oneOf("`sent`, `received`."),
  call: oneOf("Kind of a call, as in the API: `createBackend` …"),
  kind: oneOf("`agent`, `controller`, `proxy`, `replica`, `program`."),
  state: oneOf("`starting`, `ready`, `draining`, `exited`."),
  instance: name("Name of the instance."),
  node: name("Name of the node."),
  version: name("Version of maitred that the agent runs."),
};

export const isNamed = (label: string): boolean => METRIC_LABELS[label]?.named === true;

// No tag, method or code can begin with an underscore.
/** Stands for every name beyond the bound. */
export const OTHER_NAME = "_other";
/** No endpoint answers the request; the process is no replica. */
export const NO_NAME = "_none";
/** The door of a backend, as a method. */
export const DOOR_NAME = "_door";
/** `/-/…` of a proxy. */
export const ADMIN_NAME = "_admin";

/** Values of the labels in the order of the table, and a number, or of a histogram its buckets and then its sum. */
export type Sample = readonly [labels: readonly string[], value: number | readonly number[]];

export type Samples = { readonly [N in MetricName]?: readonly Sample[] };

/** What a process says of itself when it is asked. */
export interface MetricsSnapshot {
  /** With its name it tells whoever counts from the one before it, and from others in the same process. No spaces. */
  readonly life: string;
  /** Timestamp of the process's start. */
  readonly startedAt: number;
  readonly usage: ProcessUsage;
  /** All since its start. */
  readonly samples: Samples;
}

export interface ProcessUsage {
  readonly cpuMs: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
  readonly loopBusyMs: number;
}

/** Where a node answers scrapes when that is asked for and nothing else is said; 9464 is registered for Prometheus exporters of programs. */
export const DEFAULT_METRICS = { host: "127.0.0.1", port: 9464 } as const;

/** Whoever counts, in one life: `name life`. */
export type LifeKey = string;

/** What an agent has added up, for the next one. JSON. */
export interface SavedTotals {
  readonly version: number;
  readonly lives: Readonly<Record<LifeKey, Samples>>;
  /** Of lives that are over, the last ones first. */
  readonly kept: Samples;
}
