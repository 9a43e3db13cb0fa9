/**
 * The rules of a backend's configuration, defaults filled in: ranges of single fields and relations between fields. Types were checked
 * where the call came in. Answers every problem, each the rest of a sentence that starts with `backend "…": `.
 * Also: what an update changes, and what that costs.
 */

import type { Offers } from "../model/actor.ts";
import {
  type BackendConfig,
  type BackendConfigField,
  type BackendConfigInput,
  type BackendConfigUpdate,
  REMOVABLE_FIELDS,
  UPDATE_KIND,
} from "../model/backend-config.ts";
import type { ProbedOffers } from "../model/probe.ts";
import { isSameValue } from "./canonical.ts";

type NumberField = {
  [K in BackendConfigField]: BackendConfig[K] extends number | undefined ? K : never;
}[BackendConfigField];

const AT_LEAST_ONE: readonly NumberField[] = [
  "numReplicas",
  "maxConcurrentQueries",
  "maxBatchSize",
  "maxStartAttempts",
  "startTimeoutMs",
  "healthCheckIntervalMs",
  "healthCheckTimeoutMs",
  "loopStallLimitMs",
];
const AT_LEAST_ZERO: readonly NumberField[] = ["maxQueuedQueries", "maxSurge", "maxUnavailable"];
const ANY_TIME: readonly NumberField[] = [
  "batchWaitTimeoutMs",
  "gracefulShutdownWaitLoopMs",
  "gracefulShutdownTimeoutMs",
];

/** @param set what the user set, to tell a field that is there from a default. */
export const configProblems = (config: BackendConfig, set: BackendConfigInput): readonly string[] => [
  ...AT_LEAST_ONE.flatMap((field) => rangeProblem(field, config[field], 1)),
  ...AT_LEAST_ZERO.flatMap((field) => rangeProblem(field, config[field], 0)),
  ...ANY_TIME.flatMap((field) => {
    const value = config[field];
    if (value === undefined || (Number.isFinite(value) && value >= 0)) return [];
    return [`${field} must be a number of milliseconds, 0 or more, got ${value}.`];
  }),
  ...resourceProblems(config),
  ...relationProblems(config),
  ...autoscalingProblems(config, set),
];

const BATCH_FIELDS = ["maxBatchSize", "batchWaitTimeoutMs"] as const;

/** What code that has run once, or is about to serve, does not offer. */
export const offerProblems = (
  config: Pick<BackendConfig, (typeof BATCH_FIELDS)[number]>,
  offers: Pick<Offers, "batches">,
): readonly string[] =>
  offers.batches
    ? []
    : BATCH_FIELDS.flatMap((field) =>
        config[field] === undefined ? [] : [`${field} is set, but the code declares no batch(). Remove ${field}.`],
      );

/** What code that a probe has looked at cannot offer. What is only possible the start of a replica will show. */
export const probedProblems = (config: BackendConfig, offers: ProbedOffers): readonly string[] => [
  ...offerProblems(config, { batches: offers.batches !== "no" }),
  ...(config.userConfig !== undefined && config.userConfig !== null && offers.reconfigures === "no"
    ? ["userConfig is set, and the code has no reconfigure() to take it. Add the method or remove userConfig."]
    : []),
];

/** The fields whose value, defaults filled in, differs. */
export const changedFields = (before: BackendConfig, after: BackendConfig): readonly BackendConfigField[] =>
  (Object.keys(UPDATE_KIND) as BackendConfigField[]).filter((field) => !isSameValue(before[field], after[field]));

/**
 * The explicitly set fields of `update` over what was set before; of `resources` and `autoscaling`, their fields. `numReplicas` takes the
 * place of `autoscaling`, and the other way round: they exclude each other. A removable field that is null is as if it had never been set.
 */
export const mergeConfig = (before: BackendConfigInput, update: BackendConfigUpdate): BackendConfigInput => {
  const removed: ReadonlySet<string> = new Set(REMOVABLE_FIELDS.filter((field) => update[field] === null));
  const set = Object.fromEntries(
    Object.entries(update).filter(([field, value]) => value !== undefined && !removed.has(field)),
  ) as BackendConfigInput;
  const { numReplicas, autoscaling, ...rest } = before;
  const others = Object.fromEntries(
    Object.entries(rest).filter(([field]) => !removed.has(field)),
  ) as BackendConfigInput;
  return {
    ...others,
    ...(numReplicas === undefined || set.autoscaling !== undefined ? {} : { numReplicas }),
    ...(autoscaling === undefined || set.numReplicas !== undefined ? {} : { autoscaling }),
    ...set,
    ...(set.resources === undefined ? {} : { resources: { ...before.resources, ...set.resources } }),
    ...(set.autoscaling === undefined ? {} : { autoscaling: { ...before.autoscaling, ...set.autoscaling } }),
  };
};

const rangeProblem = (field: NumberField, value: number | undefined, least: 0 | 1): string[] => {
  if (value === undefined || (Number.isInteger(value) && value >= least)) return [];
  return [`${field} must be a ${least === 1 ? "positive integer" : "whole number, 0 or more"}, got ${value}.`];
};

const resourceProblems = ({ resources }: BackendConfig): string[] =>
  (["cpu", "memoryBytes"] as const).flatMap((field) =>
    Number.isFinite(resources[field]) && resources[field] >= 0
      ? []
      : [`resources.${field} must be a number, 0 or more, got ${resources[field]}.`],
  );

const relationProblems = (config: BackendConfig): string[] => {
  const problems: string[] = [];
  const { maxBatchSize, maxConcurrentQueries, maxSurge, maxUnavailable } = config;
  if (maxBatchSize !== undefined && maxConcurrentQueries < maxBatchSize) {
    problems.push(
      `maxConcurrentQueries is ${maxConcurrentQueries} and maxBatchSize ${maxBatchSize}: a batch could never fill. Raise maxConcurrentQueries to ${maxBatchSize} or more.`,
    );
  }
  if (maxSurge === 0 && maxUnavailable === 0) {
    problems.push(
      "maxSurge and maxUnavailable are both 0: no replica could ever be replaced. Set one of them to 1 or more.",
    );
  }
  if (config.gracefulShutdownWaitLoopMs > config.gracefulShutdownTimeoutMs) {
    problems.push(
      `gracefulShutdownWaitLoopMs is ${config.gracefulShutdownWaitLoopMs}, longer than gracefulShutdownTimeoutMs ${config.gracefulShutdownTimeoutMs}: every drain would end by a kill. Make it shorter.`,
    );
  }
  for (const field of ["envFile", "cwd"] as const) {
    const path = config[field];
    if (path !== undefined && !path.startsWith("/"))
      problems.push(
        `${field} must be an absolute path, got ${JSON.stringify(path)}: no process of the instance runs in your folder.`,
      );
  }
  for (const name of Object.keys(config.env)) {
    if (name === "" || /[=\0]/.test(name))
      problems.push(`env has the name ${JSON.stringify(name)}, which no environment can hold.`);
  }
  return problems;
};

const autoscalingProblems = ({ autoscaling }: BackendConfig, set: BackendConfigInput): string[] => {
  if (autoscaling === undefined) return [];
  const { minReplicas, maxReplicas, targetQueriesPerReplica } = autoscaling;
  const problems: string[] = [];
  if (set.numReplicas !== undefined)
    problems.push("numReplicas and autoscaling exclude each other. Remove one of them.");
  if (!(Number.isInteger(minReplicas) && minReplicas >= 1)) {
    problems.push(`autoscaling.minReplicas must be a positive integer, got ${minReplicas}.`);
  }
  if (!(Number.isInteger(maxReplicas) && maxReplicas >= minReplicas)) {
    problems.push(
      `autoscaling.maxReplicas must be an integer, at least minReplicas (${minReplicas}), got ${maxReplicas}.`,
    );
  }
  for (const field of ["upDelayMs", "downDelayMs"] as const) {
    const value = autoscaling[field];
    if (!(Number.isFinite(value) && value >= 0))
      problems.push(`autoscaling.${field} must be a number of milliseconds, 0 or more, got ${value}.`);
  }
  if (!(Number.isFinite(targetQueriesPerReplica) && targetQueriesPerReplica > 0)) {
    problems.push(`autoscaling.targetQueriesPerReplica must be above 0, got ${targetQueriesPerReplica}.`);
  }
  return problems;
};
