/**
 * What a deploy makes of what was expected before, told anew and plainly: of each thing, field by field, the file's value where the file
 * has changed since the app's last deploy, else the live one. What has left the file goes.
 */
import type { AppEndpoint, AppSpec } from "../../model/app.ts";
import type { BackendConfigInput } from "../../model/backend-config.ts";
import type { Call } from "../../model/calls.ts";
import { isSameJson } from "./facts.ts";
import { type Expected, type ExpectedBackend, rolls } from "./fold-calls.ts";

type Deploy = Extract<Call, { readonly kind: "deploy" }>;
type Fields = Readonly<Record<string, unknown>>;

const NO_APP: AppSpec = { backends: {}, endpoints: {} };

/** @param filesOf what the code of a backend was found to be, as saved by this call. */
export const foldDeploy = (
  { backends, endpoints, apps }: Expected,
  call: Deploy,
  filesOf: (tag: string) => string | undefined,
): void => {
  const said = apps.get(call.app) ?? NO_APP;
  const isOwn = (thing: { readonly app: string | undefined } | undefined) => thing?.app === call.app;
  const leaving = Object.keys(said.backends).filter((tag) => !(tag in call.backends) && isOwn(backends.get(tag)));
  for (const tag of Object.keys(said.endpoints)) {
    if (!(tag in call.endpoints) && isOwn(endpoints.get(tag))) endpoints.delete(tag);
  }
  for (const [tag, says] of Object.entries(call.backends)) {
    const was = backends.get(tag);
    const before = (said.backends as AppSpec["backends"] & Fields)[tag as never] as typeof says | undefined;
    const config =
      was === undefined || was.isDeleting || before === undefined
        ? says.config
        : mergeConfig({ said: before.config, says: says.config, live: was.config });
    const wanted = { code: says.code, config, files: filesOf(tag), isDeleting: false, app: call.app };
    backends.set(tag, { ...wanted, rollout: was === undefined ? 1 : was.rollout + (isNew(was, wanted) ? 1 : 0) });
  }
  for (const [tag, says] of Object.entries(call.endpoints)) {
    const was = endpoints.get(tag);
    const before = (said.endpoints as AppSpec["endpoints"] & Fields)[tag as never] as typeof says | undefined;
    endpoints.set(tag, { ...mergeEndpoint({ said: before, says, live: was }, leaving), app: call.app });
  }
  for (const tag of leaving) backends.set(tag, { ...backends.get(tag)!, isDeleting: true });
  if (Object.keys(call.backends).length + Object.keys(call.endpoints).length === 0) apps.delete(call.app);
  else apps.set(call.app, call);
};

const isNew = (was: ExpectedBackend, is: Omit<ExpectedBackend, "rollout">): boolean =>
  rolls(was.config, is.config) || !isSameJson(was.code, is.code) || was.files !== is.files;

interface Three<T> {
  readonly said: T;
  readonly says: T;
  readonly live: T;
}

const mergeConfig = ({ said, says, live }: Three<BackendConfigInput>): BackendConfigInput => {
  const merged: Record<string, unknown> = {
    ...merge({ said: said as Fields, says: says as Fields, live: live as Fields }),
    resources: merge({
      said: (said.resources ?? {}) as Fields,
      says: (says.resources ?? {}) as Fields,
      live: (live.resources ?? {}) as Fields,
    }),
  };
  if (merged["autoscaling"] !== undefined) {
    merged["autoscaling"] = merge({
      said: (said.autoscaling ?? {}) as Fields,
      says: (says.autoscaling ?? {}) as Fields,
      live: (live.autoscaling ?? {}) as Fields,
    });
  }
  // They exclude each other: what the file does not say was set by hand, and gives way.
  if (merged["numReplicas"] !== undefined && merged["autoscaling"] !== undefined) {
    delete merged[says.autoscaling === undefined ? "autoscaling" : "numReplicas"];
  }
  return merged as BackendConfigInput;
};

const mergeEndpoint = (
  {
    said,
    says,
    live,
  }: { readonly said: AppEndpoint | undefined; readonly says: AppEndpoint; readonly live: AppEndpoint | undefined },
  leaving: readonly string[],
): AppEndpoint => {
  if (said === undefined || live === undefined) return { ...says, shadows: positive(says.shadows) };
  const traffic = isSameJson(said.traffic, says.traffic) ? live.traffic : says.traffic;
  const shadows = merge({ said: said.shadows, says: says.shadows, live: live.shadows }) as Record<string, number>;
  for (const tag of leaving) delete shadows[tag];
  return {
    spec: merge({ said: said.spec as never, says: says.spec as never, live: live.spec as never }) as never,
    traffic: leaving.some((tag) => tag in traffic) ? says.traffic : traffic,
    shadows: positive(shadows),
  };
};

const merge = ({ said, says, live }: Three<Fields>): Record<string, unknown> =>
  Object.fromEntries(
    Object.keys({ ...live, ...says })
      .map((field) => [field, isSameJson(said[field], says[field]) ? live[field] : says[field]] as const)
      .filter(([, value]) => value !== undefined),
  );

const positive = (shadows: Readonly<Record<string, number>>): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries(shadows).filter(([, share]) => share > 0));
