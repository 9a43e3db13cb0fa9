/** What must be saved, by folding the calls of goals in their order: told anew and plainly, by other code than the controller's. */
import type { AppSpec } from "../../model/app.ts";
import {
  type BackendConfigInput,
  type BackendConfigUpdate,
  resolveBackendConfig,
  UPDATE_KIND,
} from "../../model/backend-config.ts";
import type { Call } from "../../model/calls.ts";
import type { EndpointRecord } from "../../model/records.ts";
import { isSameJson } from "./facts.ts";

export interface ExpectedBackend {
  readonly code: unknown;
  /** Compared with its defaults: saying what is so anyway changes nothing. */
  readonly config: BackendConfigInput;
  /** What its code was found to be. The client does not say it: whoever takes its call does. */
  readonly files: string | undefined;
  readonly rollout: number;
  readonly isDeleting: boolean;
  readonly app: string | undefined;
}

export type ExpectedEndpoint = Pick<EndpointRecord, "spec" | "traffic" | "shadows"> & {
  readonly app: string | undefined;
};

export interface Expected {
  readonly backends: Map<string, ExpectedBackend>;
  readonly endpoints: Map<string, ExpectedEndpoint>;
  /** What the file of each app said at its last deploy. */
  readonly apps: Map<string, AppSpec>;
}

export interface Seen {
  readonly proven: ReadonlySet<string>;
  /** What the code of a backend was found to be, as saved by the call. */
  readonly filesOf: (tag: string) => string | undefined;
}

/** Every call but a deploy. */
export const foldSingle = (expected: Expected, call: Call, seen: Seen): void => {
  foldBackend(expected.backends, call, seen);
  foldEndpoint(expected.endpoints, call);
};

/** As values are compared. */
export const resolved = (backend: ExpectedBackend | undefined) =>
  backend && { ...backend, config: resolveBackendConfig(backend.config) };

const foldBackend = (backends: Map<string, ExpectedBackend>, call: Call, { proven, filesOf }: Seen): void => {
  const known = "tag" in call ? backends.get(call.tag) : undefined;
  switch (call.kind) {
    case "createBackend":
      if (known === undefined || !proven.has(call.tag)) backends.set(call.tag, created(known, call, filesOf(call.tag)));
      return;
    case "updateBackendConfig": {
      if (known === undefined) return;
      const config = updated(known.config, call.config);
      backends.set(call.tag, { ...known, config, rollout: known.rollout + (rolls(known.config, config) ? 1 : 0) });
      return;
    }
    case "restartBackend":
      if (known !== undefined) backends.set(call.tag, { ...known, rollout: known.rollout + 1 });
      return;
    case "deleteBackend":
      if (known !== undefined) backends.set(call.tag, { ...known, isDeleting: true });
      return;
    default:
      return;
  }
};

/** `numReplicas` and `autoscaling` take each other's place; of resources each counts for itself. */
const updated = (before: BackendConfigInput, said: BackendConfigUpdate): BackendConfigInput => {
  // Workloads take nothing away.
  const update = said as BackendConfigInput;
  const { numReplicas, autoscaling, ...others } = before;
  const resources = { ...before.resources, ...update.resources };
  if (update.autoscaling !== undefined)
    return { ...others, ...update, resources, autoscaling: { ...autoscaling, ...update.autoscaling } };
  return { ...others, ...(update.numReplicas === undefined ? { numReplicas, autoscaling } : {}), ...update, resources };
};

/** What never ran may be created as something else. */
const created = (
  known: ExpectedBackend | undefined,
  call: Extract<Call, { kind: "createBackend" }>,
  files: string | undefined,
): ExpectedBackend => {
  const wanted = { code: call.code, config: call.config, files, rollout: 1, isDeleting: false, app: undefined };
  if (known === undefined) return wanted;
  const { rollout, isDeleting, app } = known;
  const isSame = isSameJson(resolved({ ...wanted, rollout, isDeleting, app }), resolved(known));
  return isSame ? known : { ...wanted, rollout: rollout + 1 };
};

export const rolls = (before: BackendConfigInput, after: BackendConfigInput): boolean => {
  const [was, is] = [resolveBackendConfig(before), resolveBackendConfig(after)];
  return (Object.keys(UPDATE_KIND) as (keyof typeof UPDATE_KIND)[]).some(
    (field) => UPDATE_KIND[field] === "rolling" && !isSameJson(was[field], is[field]),
  );
};

const foldEndpoint = (endpoints: Map<string, ExpectedEndpoint>, call: Call): void => {
  const known = "tag" in call ? endpoints.get(call.tag) : undefined;
  switch (call.kind) {
    case "createEndpoint":
      if (known === undefined)
        endpoints.set(call.tag, { spec: call.spec, traffic: call.traffic, shadows: call.shadows, app: undefined });
      return;
    case "deleteEndpoint":
      endpoints.delete(call.tag);
      return;
    case "setTraffic":
      if (known !== undefined) endpoints.set(call.tag, { ...known, traffic: call.traffic });
      return;
    case "shadowTraffic": {
      if (known === undefined) return;
      const shadows: Record<string, number> = { ...known.shadows, [call.backend]: call.proportion };
      if (call.proportion === 0) delete shadows[call.backend];
      endpoints.set(call.tag, { ...known, shadows });
      return;
    }
    default:
      return;
  }
};
