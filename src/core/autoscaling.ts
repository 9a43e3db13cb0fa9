/**
 * How many replicas the load of a backend asks for, between its bounds. Pure: what was seen before and what is seen now give what to
 * remember and how many are wanted.
 *
 * The load is the number of queries that run or wait, over all routers. It asks for as many replicas as it takes for each to have at most
 * the target. More are wanted when it has asked for more all through `upDelayMs`, and then as many as it asked for at least in that time;
 * fewer when it has asked for fewer all through `downDelayMs`, and then as many as it asked for at most. A load that not every router is
 * known to have told its part of says nothing about fewer: silence is not absence.
 */
import type { Instant } from "../base/time.ts";
import type { Autoscaling, BackendConfig } from "../model/backend-config.ts";
import type { BackendRecord } from "../model/records.ts";

export interface Load {
  readonly queries: number;
  /** `partial`: some routers may not have told theirs in this life of the controller. */
  readonly from: "all" | "partial";
}

/** Since when the load has asked for another number of replicas than run, and how far at least. */
export interface Scaler {
  readonly direction: "up" | "down";
  readonly since: Instant;
  readonly replicas: number;
}

export interface Scaling {
  readonly wanted: number;
  /** To remember; undefined: the load asks for what is wanted. */
  readonly scaler: Scaler | undefined;
  /** When time alone may change it. */
  readonly again: Instant | undefined;
}

export const scaleByLoad = (
  before: Scaler | undefined,
  seen: { readonly wanted: number; readonly load: Load; readonly settings: Autoscaling; readonly now: Instant },
): Scaling => {
  const { wanted, load, settings, now } = seen;
  const asked = askedFor(load, settings);
  const direction = asked > wanted ? "up" : asked < wanted && load.from === "all" ? "down" : undefined;
  if (direction === undefined) return { wanted, scaler: undefined, again: undefined };

  const known = before?.direction === direction ? before : undefined;
  const replicas =
    direction === "up" ? Math.min(asked, known?.replicas ?? asked) : Math.max(asked, known?.replicas ?? 0);
  const scaler = { direction, since: known?.since ?? now, replicas } as const;
  const dueAt = scaler.since + (direction === "up" ? settings.upDelayMs : settings.downDelayMs);
  return now < dueAt ? { wanted, scaler, again: dueAt } : { wanted: replicas, scaler: undefined, again: undefined };
};

/** `askedFor({ queries: 21 }, { target: 10, min: 1, max: 5 })` is 3. */
const askedFor = ({ queries }: Load, settings: Autoscaling): number =>
  within(settings, Math.ceil(queries / settings.targetQueriesPerReplica));

/** How many replicas a backend shall have: what was set, or what its load asked for last, within bounds that may have changed since. */
export const targetReplicas = (record: Pick<BackendRecord, "autoscaled">, config: BackendConfig): number =>
  config.autoscaling === undefined
    ? config.numReplicas
    : within(config.autoscaling, record.autoscaled?.replicas ?? config.autoscaling.minReplicas);

const within = ({ minReplicas, maxReplicas }: Autoscaling, replicas: number): number =>
  Math.min(Math.max(replicas, minReplicas), maxReplicas);
