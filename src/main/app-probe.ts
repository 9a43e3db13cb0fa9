/**
 * What an app file asks for and what its code is, for `maitred run`: the command looks by itself, before and while the instance starts,
 * so that nothing starts for a broken file and nobody waits for a second look. What user code prints goes to stderr.
 */

import { startProbe } from "../adapters/code/probe-process.ts";
import { probeProcesses } from "../adapters/code/probe-processes.ts";
import { entries, mainFile } from "../adapters/entries.ts";
import { fromErrorBody, type ServeError } from "../base/serve-error.ts";
import type { FoundApp, FoundCode } from "../cli/cli.ts";
import type { AppPlan } from "../client/client.ts";
import { foundCodeOf, type ProbeGroup, probeGroups } from "../core/probe-orders.ts";
import type { BackendConfigInput } from "../model/backend-config.ts";
import { codeRefOf } from "../model/code-ref.ts";
import type { ErrorBody } from "../model/error-codes.ts";
import type { AppCodeAnswer, AppPlanAnswer, ProbeAnswer, ProbedCode } from "../model/probe.ts";

const STDERR = 2;

/** Rejects with what is wrong with the file, or the signal's reason. */
export const probeAppFile = async (file: string, signal: AbortSignal): Promise<FoundApp> => {
  signal.throwIfAborted();
  const probe = startProbe(
    { kind: "app", path: file },
    {
      ...{ entry: mainFile("probe"), nodeArgs: [], cwd: process.cwd(), env: process.env, output: STDERR },
      ...{ timeoutMs: undefined, signal, session: "starter's", subject: `module ${file}` },
    },
    2,
  );
  const said = (await probe.next()) as AppPlanAnswer<AppPlan> | AppCodeAnswer;
  if ("error" in said) {
    probe.kill();
    throw failure(said.error, said.read ?? []);
  }
  const { plan } = said as AppPlanAnswer<AppPlan>;
  const code = probe.next().then((found) => lookAtCode(plan, found as AppCodeAnswer));
  code.catch(() => {}); // whoever waits for the instance to start asks for it later
  return { plan, code };
};

/** With the files that were read until then, for whoever waits until they are mended. */
const failure = (error: ErrorBody, read: readonly string[]): ServeError =>
  fromErrorBody({ ...error, details: { ...error.details, read } });

/** The app's own process has seen those backends that run as it did; others are looked at as they will run. */
const lookAtCode = async (plan: AppPlan, own: AppCodeAnswer): Promise<FoundCode> => {
  if ("error" in own) throw failure(own.error, own.read ?? []);
  const found: Record<string, ProbedCode> = {};
  const wishes: Record<string, { code: ReturnType<typeof codeRefOf>; config: BackendConfigInput }> = {};
  for (const backend of plan.backends) {
    const { tag } = backend;
    const config = backend.config as BackendConfigInput;
    const target = runsAsHere(config) ? own.targets[tag] : undefined;
    if (target === undefined) wishes[tag] = { code: codeRefOf(backend.code), config };
    else if (target.kind === "impossible") throw failure(target.error, own.read ?? []);
    else found[tag] = { code: own.code, offers: target.offers };
  }
  const groups = probeGroups(wishes, "nothing");
  const answers = await probeAll(groups);
  const read = [own, ...answers].flatMap((answer) => answer.read ?? []);
  const outcome = foundCodeOf(wishes, groups, answers);
  if ("error" in outcome) throw failure(outcome.error, read);
  for (const [tag, { identity, offers }] of Object.entries(outcome.found)) {
    found[tag] = { code: { files: identity.files, entry: identity.entry }, offers };
  }
  return { backends: found, read };
};

const runsAsHere = ({ nodeArgs = [], env = {}, envFile, cwd }: BackendConfigInput): boolean =>
  nodeArgs.length === 0 && Object.keys(env).length === 0 && envFile === undefined && cwd === undefined;

/** One after the other: the instance starts at the same time. */
const probeAll = async (groups: readonly ProbeGroup[]): Promise<readonly ProbeAnswer[]> => {
  const probes = probeProcesses({
    ...{ entries: entries(), stateDir: "", cwd: process.cwd() },
    ...{ execArgv: process.execArgv, output: "nowhere", session: "starter's" },
  });
  const answers: ProbeAnswer[] = [];
  for (const { order } of groups) answers.push(await probes.probe(order));
  return answers;
};
