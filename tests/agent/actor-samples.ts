/** One replica for tests of core/agent: `b#1` on node `n`, as assignment, file, process and report. */

import type { Wanted } from "../../src/core/agent/actor-view.ts";
import type { Circumstances } from "../../src/core/agent/decide-actor.ts";
import type { Assignment, Intent } from "../../src/model/actor.ts";
import { type BackendConfigInput, resolveBackendConfig } from "../../src/model/backend-config.ts";
import type { ActorName, BackendTag, NodeName } from "../../src/model/ids.ts";
import type { ActorReport } from "../../src/model/link-messages.ts";
import type { ActorFile, ProcessIdentity } from "../../src/model/places.ts";

export const actor = "b#1" as ActorName;
export const writer = { node: "n" as NodeName, nodeIncarnation: 4 };
export const at = (now: number): Circumstances => ({ now, trustFilesFrom: 0 });
export const run: Intent = { kind: "run" };

export const assignment = (intent: Intent = run, configRevision = 1, config: BackendConfigInput = {}): Assignment => ({
  actor,
  node: "n" as NodeName,
  rollout: 1,
  configRevision,
  intent,
  spec: {
    kind: "replica",
    backend: "b" as BackendTag,
    code: { kind: "export", module: "file:///b.js", export: "b", args: [] },
    identity: undefined,
    config: resolveBackendConfig({ maxStartAttempts: 3, startTimeoutMs: 1_000, ...config }),
  },
});
export const assigned = (intent?: Intent, configRevision?: number, config?: BackendConfigInput): Wanted => ({
  kind: "assigned",
  assignment: assignment(intent, configRevision, config),
});
export const processOf = (pid: number): ProcessIdentity => ({ pid, startTime: "1", bootId: "boot" });
export const fileOf = (given: Assignment, incarnation: number, more: Partial<ActorFile> = {}): ActorFile => ({
  instanceId: "i",
  instance: "i",
  stateDir: "/s",
  runDir: "/r",
  assignment: given,
  incarnation,
  process: processOf(incarnation),
  failedStarts: 0,
  startedAt: 0,
  ...more,
});
export const report = (
  state: ActorReport["state"],
  configRevision = 1,
  more: Partial<ActorReport> = {},
): ActorReport => ({
  state,
  address: undefined,
  configRevision,
  error: undefined,
  offers: undefined,
  loadedDigest: undefined,
  health: "healthy",
  ...more,
});
