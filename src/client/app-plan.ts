/**
 * What an app file asks for: its backends and endpoints as REST takes them, one by one or together in a deploy.
 * A file whose default export is a function, class, `fetch` object or other single thing is an app of one backend and one endpoint
 * `/*`, both named after the file.
 */
import { fileURLToPath } from "node:url";
import { type AppBackend, type AppDefinition, appDefinitionOf, backendRefOf } from "../api/api.ts";
import { isServeError, ServeError } from "../base/serve-error.ts";
import type { CodeBody } from "../model/code-ref.ts";
import { isName, NAME_RULE } from "../model/ids.ts";
import type { Json } from "../model/json.ts";
import type { ProbedCode } from "../model/probe.ts";
import { jsonArgs, jsonConfig, moduleUrlOf, withPaths } from "./code.ts";

export interface PlannedBackend {
  readonly tag: string;
  readonly code: CodeBody;
  readonly config: Json;
  /** Its replicas are to run what lies in the folder, which was found to be this. */
  readonly folder?: ProbedCode | undefined;
}

/** JSON: it crosses from the process that loaded the file. */
export interface AppPlan {
  readonly name: string;
  readonly backends: readonly PlannedBackend[];
  readonly endpoints: readonly { readonly tag: string; readonly endpoint: Json }[];
}

export const planApp = (file: { readonly url: string; readonly defaultExport: unknown }): AppPlan => {
  const stem = stemOf(file.url);
  const app = appDefinitionOf(file.defaultExport);
  if (app !== undefined) return planOfApp(app, { url: file.url, stem });
  refuseNonTarget(file.defaultExport, stem);
  return {
    name: stem,
    backends: [{ tag: stem, code: { module: file.url }, config: {} }],
    endpoints: [{ tag: stem, endpoint: { route: "/*", backend: stem } }],
  };
};

/** The plan as the body of one deploy. */
export const deployBodyOf = ({ backends, endpoints }: AppPlan): object => ({
  backends: Object.fromEntries(backends.map(({ tag, code, config, folder }) => [tag, { ...code, config, folder }])),
  endpoints: Object.fromEntries(endpoints.map(({ tag, endpoint }) => [tag, endpoint])),
});

const planOfApp = (app: AppDefinition, file: { readonly url: string; readonly stem: string }): AppPlan => {
  const problems: ServeError[] = [];
  const plan = {
    name: gather(problems, () => checkedName(app.name ?? file.stem, "the app's name")) ?? "",
    backends: Object.entries(app.backends).flatMap(
      ([tag, entry]) => gather(problems, () => planOfBackend(file.url, tag, entry)) ?? [],
    ),
    endpoints: Object.entries(app.endpoints).flatMap(
      ([tag, endpoint]) => gather(problems, () => ({ tag, endpoint: jsonConfig(endpoint, `endpoint "${tag}"`) })) ?? [],
    ),
  };
  const [first] = problems;
  if (first === undefined) return plan;
  const code = problems.every((problem) => problem.code === first.code) ? first.code : "app-invalid";
  throw new ServeError(code, problems.map(({ message }) => message).join(" "));
};

/** All problems are told together. */
const gather = <T>(problems: ServeError[], make: () => T): T | undefined => {
  try {
    return make();
  } catch (error) {
    if (!isServeError(error)) throw error;
    problems.push(error);
    return undefined;
  }
};

const planOfBackend = (url: string, tag: string, entry: AppBackend): AppPlan["backends"][number] => {
  const subject = `backend "${tag}"`;
  const reference = backendRefOf(entry.run);
  const code: CodeBody =
    reference === undefined
      ? { module: url, appBackend: tag, args: jsonArgs(entry.args ?? [], subject) }
      : {
          module: moduleUrlOf(reference.module.startsWith(".") ? new URL(reference.module, url) : reference.module),
          export: reference.export,
          args: jsonArgs(reference.args, subject),
        };
  const folder = fileURLToPath(new URL(".", url));
  return { tag, code, config: jsonConfig(withPaths(entry.config ?? {}, folder), subject) };
};

const refuseNonTarget = (value: unknown, stem: string): void => {
  if (typeof value === "function" || (typeof value === "object" && value !== null)) return;
  const got =
    value === undefined
      ? "has no default export"
      : `has a default export of type ${value === null ? "null" : typeof value}`;
  throw new ServeError(
    "app-invalid",
    `the app file "${stem}" ${got}. Export a function, a class, a fetch object or defineApp({ … }) as default.`,
  );
};

/** `file:///srv/hello.world.ts` → `hello.world`. */
const stemOf = (url: string): string => {
  const name = decodeURIComponent(new URL(url).pathname.split("/").at(-1) ?? "").replace(/\.[cm]?[jt]sx?$/, "");
  return checkedName(name, "the app file's name (it names the instance)");
};

const checkedName = (name: string, what: string): string => {
  if (isName(name)) return name;
  throw new ServeError("tag-invalid", `${what} is "${name}"; it must be ${NAME_RULE}.`);
};
