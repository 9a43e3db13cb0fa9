/**
 * What a deploy has to change: everything that the app's file names is brought to what the file says (app-merge.ts), and what the app
 * owns and the file names no more goes. Nothing is checked here and nothing written.
 */
import type { AppChange, AppSpec } from "../../model/app.ts";
import type { Call } from "../../model/calls.ts";
import type { AppName, BackendTag, EndpointTag } from "../../model/ids.ts";
import type { AppRecord, BackendRecord, EndpointRecord } from "../../model/records.ts";
import { mergeConfigs, mergeEndpoints, ownValue } from "../app-merge.ts";
import { changeBackend, hasFailed } from "../backend-change.ts";
import { isSameValue } from "../canonical.ts";
import type { View } from "../view.ts";

export type DeployCall = Extract<Call, { readonly kind: "deploy" }>;

type Backend = Omit<BackendRecord, "goal">;
type Endpoint = Omit<EndpointRecord, "goal">;

/** In the order in which they may be written: nothing names what is not there. `after` lacks the goal only. */
export type AppStep = Pick<AppChange, "change"> &
  (
    | { readonly kind: "backend"; readonly tag: BackendTag; readonly after: Backend }
    | { readonly kind: "endpoint"; readonly tag: EndpointTag; readonly after: Endpoint | undefined }
  );

export interface AppSteps {
  readonly steps: readonly AppStep[];
  /** Backends of the app that its file names no more. */
  readonly leaving: ReadonlySet<BackendTag>;
}

export const appSteps = (view: View, call: DeployCall): AppSteps => {
  const known = view.app(call.app);
  const leaving = new Set(
    tagsOf<BackendTag>(known?.backends).filter(
      (tag) => !Object.hasOwn(call.backends, tag) && isOwn(view.backend(tag), call.app),
    ),
  );
  const context = { view, call, known, leaving };
  const steps = [
    ...tagsOf<EndpointTag>(known?.endpoints).flatMap((tag) => endpointDeletion(context, tag)),
    ...tagsOf<BackendTag>(call.backends).flatMap((tag) => backendStep(context, tag)),
    ...tagsOf<EndpointTag>(call.endpoints).flatMap((tag) => endpointStep(context, tag)),
    ...[...leaving].flatMap((tag) => backendDeletion(view, tag)),
  ];
  return { steps, leaving };
};

interface Context {
  readonly view: View;
  readonly call: DeployCall;
  readonly known: AppRecord | undefined;
  readonly leaving: ReadonlySet<BackendTag>;
}

const backendStep = ({ view, call, known }: Context, tag: BackendTag): AppStep[] => {
  const says = ownValue(call.backends, tag);
  if (says === undefined) return [];
  const { code, config, identity, envDigest } = says;
  const live = view.backend(tag);
  if (live === undefined) {
    const counters = { configRevision: 1, rollout: 1, deleting: undefined, unproven: true } as const;
    const after = { tag, code, identity, envDigest, config, ...counters, app: call.app };
    return [{ change: "create", kind: "backend", tag, after }];
  }
  // On its way out it is as good as gone: it comes back as the file says.
  const said = live.deleting === undefined ? ownValue(known?.backends, tag)?.config : undefined;
  const wish = { code, identity, envDigest, config: mergeConfigs({ said, says: config, live: live.config }) };
  const changed = changeBackend(view, live, wish);
  if (live.deleting !== undefined) {
    const after = { ...(changed ?? live), deleting: undefined, stopped: undefined };
    return [{ change: "create", kind: "backend", tag, after }];
  }
  if (changed !== undefined) return [{ change: "update", kind: "backend", tag, after: changed }];
  if (!hasFailed(view, live)) return [];
  const after = { ...live, configRevision: live.configRevision + 1 };
  return [{ change: "retry", kind: "backend", tag, after }];
};

const backendDeletion = (view: View, tag: BackendTag): AppStep[] => {
  const live = view.backend(tag);
  if (live === undefined || live.deleting !== undefined) return [];
  return [{ change: "delete", kind: "backend", tag, after: { ...live, deleting: { force: false } } }];
};

const endpointStep = ({ view, call, known, leaving }: Context, tag: EndpointTag): AppStep[] => {
  const says = ownValue(call.endpoints, tag);
  if (says === undefined) return [];
  const live = view.endpoint(tag);
  if (live === undefined) {
    const merged = mergeEndpoints({ said: undefined, says, live: says }, leaving);
    return [{ change: "create", kind: "endpoint", tag, after: { tag, ...merged, revision: 1, app: call.app } }];
  }
  const merged = mergeEndpoints({ said: ownValue(known?.endpoints, tag), says, live }, leaving);
  const { spec, traffic, shadows } = live;
  if (isSameValue(merged, { spec, traffic, shadows })) return [];
  const after = { ...live, ...merged, revision: live.revision + 1 };
  return [{ change: "update", kind: "endpoint", tag, after }];
};

const endpointDeletion = ({ view, call }: Context, tag: EndpointTag): AppStep[] =>
  Object.hasOwn(call.endpoints, tag) || !isOwn(view.endpoint(tag), call.app)
    ? []
    : [{ change: "delete", kind: "endpoint", tag, after: undefined }];

const isOwn = (record: { readonly app: AppName | undefined } | undefined, app: AppName): boolean => record?.app === app;

const tagsOf = <T extends string>(things: AppSpec[keyof AppSpec] | AppRecord["backends"] | undefined): readonly T[] =>
  Object.keys(things ?? {}) as T[];

/** What the step is for the goal and for people. */
export const changeOf = (step: AppStep): AppChange => {
  const { change } = step;
  return step.kind === "backend"
    ? { change, part: { kind: "backend", tag: step.tag, until: change === "delete" ? "gone" : "running" } }
    : { change, part: { kind: "endpoint", tag: step.tag, until: change === "delete" ? "withdrawn" : "published" } };
};
