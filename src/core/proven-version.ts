/**
 * The version of a backend that once ran, kept beside a newer one until that has run too. While the newest roll-out stands failed, or
 * its replicas have refused a newer userConfig, replicas that are missing are started of the kept version: the backend stays at full
 * strength through a stop, a crash or a lost node. A version is the code and the configuration of a roll-out. Pure: what is kept is
 * decided when a change is made, here.
 */
import { type BackendConfig, resolveBackendConfig } from "../model/backend-config.ts";
import { MAX_PROVEN_BYTES } from "../model/limits.ts";
import type { BackendRecord, ProvenVersion } from "../model/records.ts";
import { isSameValue, utf8Length } from "./canonical.ts";
import { shortDigest } from "./code-digest.ts";

/** All its replicas once ran with exactly this code and configuration. A record that says of no revision was proven as it is. */
export const isProven = ({ rollout, configRevision, provenRollout, provenRevision }: BackendRecord): boolean =>
  provenRollout === rollout && (provenRevision ?? configRevision) === configRevision;

/** What to keep when this record is changed; undefined: it has never run, or is too large to be kept twice. */
export const provenBefore = (record: BackendRecord): ProvenVersion | undefined => {
  if (!isProven(record)) return record.proven;
  const { code, identity, config, configRevision, rollout } = record;
  const version: ProvenVersion = { code, identity, config, configRevision, rollout };
  return utf8Length(JSON.stringify(version)) <= MAX_PROVEN_BYTES ? version : undefined;
};

/** The newest version has failed and is not tried again before the next change; what is started meanwhile is the answer. */
export const standsInFor = ({ proven, stopped, rollout, configRevision }: BackendRecord): ProvenVersion | undefined =>
  stopped?.rollout === rollout && stopped.configRevision === configRevision ? proven : undefined;

/** Which roll-out and configuration a replica that is started now gets, and one that runs is to hold. */
export const versionInForce = (record: BackendRecord): Pick<ProvenVersion, "rollout" | "configRevision"> =>
  standsInFor(record) ?? record;

/** The record whose newest version now runs. */
export const withProof = (record: BackendRecord): BackendRecord => ({
  ...record,
  unproven: undefined,
  provenRollout: record.rollout,
  provenRevision: record.configRevision,
  proven: undefined,
  stopped: undefined,
});

/** The record whose newest version has failed. One without another version that has run stays as it is: there is nothing to start. */
export const withStop = (record: BackendRecord, why: string): BackendRecord => {
  const { proven, rollout, configRevision } = record;
  if (proven === undefined || !mayFailBy(record, proven) || standsInFor(record) !== undefined) return record;
  return { ...record, stopped: { rollout, configRevision, why } };
};

/** What user code can refuse is another than what ran. Of the rest of a configuration a failure says nothing: it is tried on. */
const mayFailBy = (record: BackendRecord, proven: ProvenVersion): boolean =>
  proven.rollout !== record.rollout || !isSameValue(proven.config.userConfig, record.config.userConfig);

/** What a replica that is started now is made of. */
export const versionToStart = (
  record: BackendRecord,
  newest: BackendConfig,
): Pick<ProvenVersion, "code" | "identity" | "rollout" | "configRevision"> & { readonly config: BackendConfig } => {
  const { code, identity, rollout, configRevision } = record;
  const proven = standsInFor(record);
  return proven === undefined
    ? { code, identity, rollout, configRevision, config: newest }
    : { ...proven, config: resolveBackendConfig(proven.config) };
};

/** "code 0a1b2c3d4e5f, configuration 3" */
export const nameOfVersion = ({ identity, configRevision }: ProvenVersion): string =>
  `${identity === undefined ? "" : `code ${shortDigest(identity)}, `}configuration ${configRevision}`;
