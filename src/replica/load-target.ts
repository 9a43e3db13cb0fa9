/**
 * From a CodeRef to code that is ready to serve: finds it (target/), constructs, starts, configures.
 * Life of a class: constructor(args) → `async start()` → `reconfigure(userConfig)` when given; objects and modules have the last two.
 * Every failure is a ServeError with one sentence that holds the user's own message; its cause is what was thrown.
 */
import { resolveRefs } from "../api/api.ts";
import { messageOf, ServeError, textOf } from "../base/serve-error.ts";
import { offerProblems } from "../core/backend-rules.ts";
import { placeInStack } from "../core/error-place.ts";
import type { BackendConfig } from "../model/backend-config.ts";
import type { CodeRef } from "../model/code-ref.ts";
import type { BackendTag } from "../model/ids.ts";
import type { Json } from "../model/json.ts";
import type { ModuleLoader } from "../ports/module-loader.ts";
import { type FoundTarget, findTarget, isClass, refusedTarget, type Target, targetOf } from "../target/target.ts";

export interface TargetWish {
  readonly backend: BackendTag;
  readonly code: CodeRef;
  readonly config: Pick<BackendConfig, "userConfig" | "maxBatchSize" | "batchWaitTimeoutMs">;
}

export async function loadTarget(loader: ModuleLoader, wish: TargetWish): Promise<Target> {
  const { backend, code, config } = wish;
  const found = await findTarget(loader, code);
  const made = construct(found, backend);
  const { life } = targetOf(made);
  if (life.start !== undefined) {
    try {
      await life.start();
    } catch (error) {
      throw startFailed(backend, "start() threw", error);
    }
  }
  if (life.reconfigure === undefined) {
    if (isSomething(config.userConfig)) throw startFailed(backend, NO_RECONFIGURE, undefined);
  } else if (config.userConfig !== undefined) {
    try {
      await life.reconfigure(config.userConfig);
    } catch (error) {
      throw startFailed(backend, "reconfigure() threw", error);
    }
  }
  // Looked at again: `start` and `reconfigure` may have set members.
  const target = targetOf(made);
  if (target.offers.door === undefined && target.offers.methods.length === 0) {
    throw refusedTarget(found, "an object without call(), fetch() or any method");
  }
  // Only now all is declared that ever will be before a query.
  const problems = offerProblems(config, target.offers);
  if (problems.length > 0) throw new ServeError("config-invalid", `backend "${backend}": ${problems.join(" ")}`);
  return target;
}

/**
 * Gives running code a new `userConfig`.
 * @throws ServeError `reconfigure-failed`
 */
export async function reconfigure(target: Target, backend: BackendTag, userConfig: Json | undefined): Promise<void> {
  const { reconfigure } = target.life;
  if (reconfigure === undefined) {
    if (!isSomething(userConfig)) return;
    throw new ServeError("reconfigure-failed", `backend "${backend}": ${NO_RECONFIGURE}.`);
  }
  try {
    await reconfigure(userConfig);
  } catch (error) {
    throw new ServeError("reconfigure-failed", `backend "${backend}": reconfigure() threw: ${thrownText(error)}`, {
      cause: error,
    });
  }
}

const NO_RECONFIGURE =
  "userConfig is set, and the code has no reconfigure() to take it; add the method, or set userConfig to null";

/** Code that takes no userConfig needs none for null, which an update can set when it cannot take the field away. */
const isSomething = (userConfig: Json | undefined): boolean => userConfig !== undefined && userConfig !== null;

function construct({ value, args }: FoundTarget, backend: BackendTag): object {
  if (!isClass(value)) return value;
  try {
    return new value(...resolveRefs(args));
  } catch (error) {
    throw startFailed(backend, `the constructor of ${value.name || "its class"} threw`, error);
  }
}

function startFailed(backend: BackendTag, what: string, cause: unknown): ServeError {
  if (cause === undefined) return new ServeError("start-failed", `backend "${backend}": ${what}.`);
  return new ServeError("start-failed", `backend "${backend}": ${what}: ${thrownText(cause)}`, { cause });
}

/** Whoever made the change reads it, and sees no stack: with the place, `/srv/iris.ts:3:9`. */
function thrownText(error: unknown): string {
  const place = placeInStack(textOf(error, "stack"));
  return place === undefined ? messageOf(error) : `${messageOf(error)} (${place})`;
}
