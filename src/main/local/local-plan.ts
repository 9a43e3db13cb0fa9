/**
 * What an app asks for, checked by the controller's own rules: the same refusals, with the same sentences, as `run` and `deploy` give.
 * Types of single fields are left to the compiler, as everywhere in code.
 */
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type App, appDefinitionOf } from "../../api/api.ts";
import { suggestion } from "../../base/did-you-mean.ts";
import { ServeError } from "../../base/serve-error.ts";
import { planApp } from "../../client/client.ts";
import { applyCall } from "../../core/apply-call.ts";
import { Draft } from "../../core/draft.ts";
import { NOTHING_TOLD } from "../../core/soft-state.ts";
import { View } from "../../core/view.ts";
import {
  type BackendConfig,
  type BackendConfigInput,
  DEFAULT_BACKEND_CONFIG,
  resolveBackendConfig,
} from "../../model/backend-config.ts";
import type { Call } from "../../model/calls.ts";
import type { CodeRef } from "../../model/code-ref.ts";
import { type EndpointInput, resolveEndpoint } from "../../model/endpoint.ts";
import type { BackendTag, EndpointTag, GoalId, InstanceName } from "../../model/ids.ts";
import { keysOf } from "../../model/keys.ts";
import type { EndpointRecord } from "../../model/records.ts";

export interface LocalBackendPlan {
  readonly tag: BackendTag;
  readonly code: CodeRef;
  readonly config: BackendConfig;
}

export interface LocalPlan {
  /** Stands for the module whose default export is the app. */
  readonly appUrl: string;
  readonly backends: readonly LocalBackendPlan[];
  readonly endpoints: readonly EndpointRecord[];
}

/**
 * @param folder where relative paths of its modules begin.
 * @throws ServeError `config-invalid`, `weights-invalid`, `backend-unknown` …
 */
export function planLocal(app: App, folder: string): LocalPlan {
  // No file's URL: a real app.ts may hold code of its backends.
  const appUrl = `${pathToFileURL(join(folder, "app.ts")).href}?of-this-process`;
  const { backends, endpoints } = planApp({ url: appUrl, defaultExport: app });
  const planned = backends.map(({ tag, code, config }): LocalBackendPlan => {
    refuseUnknownFields(tag, config as object);
    // A copy, as of what is saved in an instance.
    const saved = JSON.parse(JSON.stringify(config)) as BackendConfigInput;
    const { module, export: name = "default", args = [], appBackend } = code;
    return {
      tag: tag as BackendTag,
      code:
        appBackend === undefined
          ? { kind: "export", module, export: name, args }
          : { kind: "app", module, backend: appBackend as BackendTag, args },
      config: resolveBackendConfig(saved),
    };
  });
  const view = applyAll([
    ...backends.map(
      ({ tag, config }, index): Call => ({
        kind: "createBackend",
        goalId: `backend-${index}` as GoalId,
        tag: tag as BackendTag,
        code: planned[index]!.code,
        config: config as BackendConfigInput,
      }),
    ),
    ...endpoints.map(
      ({ tag, endpoint }, index): Call => ({
        kind: "createEndpoint",
        goalId: `endpoint-${index}` as GoalId,
        tag: tag as EndpointTag,
        ...resolveEndpoint(endpoint as EndpointInput),
      }),
    ),
  ]);
  return { appUrl, backends: planned, endpoints: [...view.all("endpoint")] };
}

/** The folder of the file that called `defineApp`. */
export function folderOf(app: App): string {
  const { file } = appDefinitionOf(app)!;
  if (file === undefined) return process.cwd();
  return join(file.startsWith("file:") ? fileURLToPath(file) : file, "..");
}

const NO_LIFE = { ...NOTHING_TOLD, life: { startedAt: 0, first: true } };

function applyAll(calls: readonly Call[]): View {
  const view = new View();
  const keys = keysOf("local" as InstanceName);
  const draft = new Draft({ view, soft: NO_LIFE, keys }, { instant: 0, timestamp: 0 });
  for (const call of calls) {
    const outcome = applyCall(draft, call);
    if (outcome.kind !== "refused") continue;
    const { code, message, details } = outcome.error;
    throw new ServeError(code, message, { details });
  }
  return view;
}

function refuseUnknownFields(tag: string, config: object): void {
  const known = Object.keys(DEFAULT_BACKEND_CONFIG);
  const unknown = Object.keys(config).find((field) => !known.includes(field));
  if (unknown === undefined) return;
  throw new ServeError("config-invalid", `backend "${tag}": unknown key "${unknown}".${suggestion(unknown, known)}`);
}
