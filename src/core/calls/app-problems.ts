/**
 * Everything that is wrong with a deploy, found before anything is written: each problem a sentence that begins with its path in the app
 * (`backends.iris:v1.config.numReplicas must be …`).
 */
import type { AppEndpoint } from "../../model/app.ts";
import { resolveBackendConfig } from "../../model/backend-config.ts";
import type { EndpointSpec } from "../../model/endpoint.ts";
import type { ErrorCode } from "../../model/error-codes.ts";
import { type AppName, type BackendTag, type EndpointTag, isName, NAME_RULE } from "../../model/ids.ts";
import { MAX_BACKEND_BYTES } from "../../model/limits.ts";
import { ownValue } from "../app-merge.ts";
import { hasOtherCode } from "../backend-change.ts";
import { configProblems, offerProblems, probedProblems } from "../backend-rules.ts";
import { utf8Length } from "../canonical.ts";
import { backendsOf } from "../indexes.ts";
import { routeShape } from "../routes.ts";
import { shadowProblems, weightProblems } from "../traffic.ts";
import type { View } from "../view.ts";
import type { AppStep, AppSteps, DeployCall } from "./app-steps.ts";
import { specProblems } from "./endpoint-calls.ts";
import { type CallOutcome, listed, refuse } from "./outcome.ts";

interface Problem {
  readonly code: ErrorCode;
  readonly message: string;
}

/** undefined: nothing is wrong. */
export const refuseApp = (view: View, call: DeployCall, planned: AppSteps): CallOutcome | undefined => {
  const looked = { view, call, planned };
  const problems = [
    ...(isName(call.app) ? [] : [problem("tag-invalid", `the app's name must be ${NAME_RULE}.`)]),
    ...Object.keys(call.backends).flatMap((tag) =>
      tagProblems({ path: `backends.${tag}`, tag }, view.backend(tag as BackendTag), call),
    ),
    ...Object.keys(call.endpoints).flatMap((tag) =>
      tagProblems({ path: `endpoints.${tag}`, tag }, view.endpoint(tag as EndpointTag), call),
    ),
    ...planned.steps.flatMap((step) => stepProblems(looked, step)),
    ...Object.entries(call.endpoints).flatMap(([tag, says]) => nameProblems(looked, tag as EndpointTag, says)),
  ];
  const [first] = problems;
  if (first === undefined) return undefined;
  const code = problems.every((it) => it.code === first.code) ? first.code : "app-invalid";
  const message = `app "${call.app}": ${problems.map((it) => it.message).join(" ")}`;
  return refuse(code, message, { app: call.app, problems });
};

interface Looked {
  readonly view: View;
  readonly call: DeployCall;
  readonly planned: AppSteps;
}

const problem = (code: ErrorCode, message: string): Problem => ({ code, message });

/** A tag that cannot be, or that somebody else has. */
const tagProblems = (
  { path, tag }: { readonly path: string; readonly tag: string },
  live: { readonly app: AppName | undefined } | undefined,
  { app }: DeployCall,
): readonly Problem[] => {
  if (!isName(tag)) return [problem("tag-invalid", `${path}: a tag must be ${NAME_RULE}.`)];
  if (live === undefined || live.app === app) return [];
  const owner =
    live.app === undefined
      ? "exists outside the app: a call of its own made it, and it belongs to no app."
      : `belongs to the app "${live.app}".`;
  return [problem("tag-owned", `${path}: this tag ${owner} Use another tag here, or delete that one first.`)];
};

const stepProblems = (looked: Looked, step: AppStep): readonly Problem[] => {
  // Somebody else's tag is one problem, whatever the file says of it.
  if (step.after !== undefined && step.after.app !== looked.call.app) return [];
  if (step.kind === "backend") {
    return step.change === "delete" ? userProblems(looked, step.tag) : valueProblems(looked, step);
  }
  return step.after === undefined ? [] : policyProblems(looked, step.after);
};

type BackendStep = Extract<AppStep, { readonly kind: "backend" }>;
type EndpointAfter = Extract<AppStep, { readonly kind: "endpoint" }>["after"] & object;

const valueProblems = ({ view, call }: Looked, { tag, after }: BackendStep): readonly Problem[] => {
  const path = `backends.${tag}`;
  const config = resolveBackendConfig(after.config);
  const live = view.backend(tag);
  const probed = ownValue(call.backends, tag)?.offers;
  // What only a constructor shows is known of code that runs.
  const running = live === undefined || hasOtherCode(live, after) ? [] : [...view.replicasOf(tag)];
  const offers = running.map((actor) => view.status(actor)?.offers).find((it) => it !== undefined);
  const problems = [
    ...configProblems(config, after.config),
    ...(probed === undefined ? [] : probedProblems(config, probed)),
    ...(offers === undefined || probed?.batches === "no" ? [] : offerProblems(config, offers)),
  ].map((sentence) => problem("config-invalid", `${path}.config.${sentence}`));
  const bytes = utf8Length(JSON.stringify({ code: after.code, identity: after.identity, config: after.config }));
  if (bytes <= MAX_BACKEND_BYTES) return problems;
  const tooLarge = `${path}: its code arguments and configuration have ${bytes} bytes; at most ${MAX_BACKEND_BYTES} can be saved. Put large values into a file and pass its path.`;
  return [...problems, problem("value-too-large", tooLarge)];
};

/** A backend cannot go while an endpoint names it that is not the app's. */
const userProblems = ({ view, call }: Looked, tag: BackendTag): readonly Problem[] => {
  const users = [...view.endpointsOf(tag)].filter((user) => view.endpoint(user)?.app !== call.app);
  if (users.length === 0) return [];
  const [word, verb] = users.length === 1 ? ["endpoint", "names"] : ["endpoints", "name"];
  const message = `backends.${tag}: the file names it no more, but ${word} ${users.map((user) => nameOfUser(view, user)).join(", ")} outside the app still ${verb} it. Move that traffic to other backends (setTraffic, shadowTraffic), or keep it in the file.`;
  return [problem("backend-in-use", message)];
};

const nameOfUser = (view: View, tag: EndpointTag): string => {
  const owner = view.endpoint(tag)?.app;
  return owner === undefined ? `"${tag}"` : `"${tag}" of the app "${owner}"`;
};

const policyProblems = (looked: Looked, endpoint: EndpointAfter): readonly Problem[] => {
  const path = `endpoints.${endpoint.tag}`;
  const { spec, traffic, shadows } = endpoint;
  return [
    ...specProblems(spec).map(({ code, sentence }) => problem(code, `${path}.${sentence}`)),
    ...weightProblems(traffic).map((sentence) => problem("weights-invalid", `${path}.traffic: ${sentence}`)),
    ...shadowProblems(shadows).map((sentence) => problem("weights-invalid", `${path}.shadows: ${sentence}`)),
    ...routeProblems(looked, endpoint),
  ];
};

/** What the file names must be there; live values name what is there anyway. */
const nameProblems = ({ view, call, planned }: Looked, tag: EndpointTag, says: AppEndpoint): readonly Problem[] => {
  const foreign = [...backendsOf(says)].filter((backend) => !Object.hasOwn(call.backends, backend));
  const unknown = foreign.filter((backend) => planned.leaving.has(backend) || view.backend(backend) === undefined);
  const going = foreign.filter((it) => !unknown.includes(it) && view.backend(it)?.deleting !== undefined);
  const path = `endpoints.${tag}`;
  return [
    ...(unknown.length === 0
      ? []
      : [problem("backend-unknown", `${path} names ${listed(unknown)}, which the app does not have.`)]),
    ...(going.length === 0
      ? []
      : [problem("backend-deleting", `${path} names ${listed(going)}, which is being deleted.`)]),
  ];
};

/** Of two endpoints of the app that have one route the later one is told. */
const routeProblems = ({ view, planned }: Looked, { tag, spec }: EndpointAfter): readonly Problem[] => {
  const shape = shapeOf(spec);
  if (shape === undefined) return [];
  const changed = planned.steps.filter((step) => step.kind === "endpoint");
  const holder = view.endpointOfRoute(shape);
  const first = changed.find(({ after }) => after !== undefined && shapeOf(after.spec) === shape)?.tag;
  const owner = holder === undefined || changed.some((step) => step.tag === holder) ? first : holder;
  if (owner === undefined || owner === tag) return [];
  const message = `endpoints.${tag}.route ${JSON.stringify(spec.route)}: endpoint ${nameOfUser(view, owner)} answers the same paths. Choose another route.`;
  return [problem("route-taken", message)];
};

const shapeOf = ({ route }: EndpointSpec): string | undefined => (route === undefined ? undefined : routeShape(route));
