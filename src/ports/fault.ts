/**
 * Fault points, from `MAITRED_FAULT=crash-after-save:0.5`: the process exits at the named point with that probability.
 * Known points: `crash-after-save` (controller, after a transaction, before its reply).
 */

export interface Faults {
  point(name: "crash-after-save"): void;
}
