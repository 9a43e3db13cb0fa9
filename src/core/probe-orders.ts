/**
 * Which probes a call needs before it can be applied, and what it is with their answers. Backends whose code lies in one module and runs
 * in one kind of process are one probe: an app file is loaded once.
 */
import { type BackendConfigInput, resolveBackendConfig } from "../model/backend-config.ts";
import type { CodeIdentity, CodeRef } from "../model/code-ref.ts";
import type { ErrorBody } from "../model/error-codes.ts";
import type { ProbeAnswer, ProbedOffers, ProbeOrder, Runtime } from "../model/probe.ts";
import { canonicalJson } from "./canonical.ts";
import { identityOf } from "./code-digest.ts";

/** A backend that a call wants, as far as its code goes. */
export interface CodeWish {
  readonly code: CodeRef;
  readonly config: BackendConfigInput;
}

/** What a call holds of a backend when its code is known. */
export interface FoundCode {
  readonly identity: CodeIdentity;
  readonly offers: ProbedOffers;
}

export interface ProbeGroup {
  readonly order: ProbeOrder;
  /** Tags of the order's targets, in their order. */
  readonly tags: readonly string[];
}

export const probeGroups = (
  wishes: Readonly<Record<string, CodeWish>>,
  keep: ProbeOrder["keep"],
): readonly ProbeGroup[] => {
  const groups = new Map<string, { order: ProbeOrder; tags: string[] }>();
  for (const [tag, { code, config }] of Object.entries(wishes)) {
    const { startTimeoutMs, nodeArgs, env, envFile, cwd } = resolveBackendConfig(config);
    const runtime: Runtime = { nodeArgs, env, envFile, cwd };
    const key = canonicalJson([code.module, runtime]);
    const target: CodeRef = { ...code, args: code.args.map(() => null) };
    const group = groups.get(key);
    const { targets = [], timeoutMs = 0 } = group?.order ?? {};
    groups.set(key, {
      order: {
        module: code.module,
        targets: [...targets, target],
        runtime,
        timeoutMs: Math.max(timeoutMs, startTimeoutMs),
        keep,
      },
      tags: [...(group?.tags ?? []), tag],
    });
  }
  return [...groups.values()];
};

/** What the answers say of each backend, or all that is wrong in one. `answers`: in the order of the groups. */
export const foundCodeOf = (
  wishes: Readonly<Record<string, CodeWish>>,
  groups: readonly ProbeGroup[],
  answers: readonly ProbeAnswer[],
): { readonly found: Readonly<Record<string, FoundCode>> } | { readonly error: ErrorBody } => {
  const found: Record<string, FoundCode> = {};
  const errors: ErrorBody[] = [];
  for (const [index, { order, tags }] of groups.entries()) {
    const answer = answers[index]!;
    if (answer.kind === "failed") {
      errors.push(answer.error);
      continue;
    }
    for (const [at, tag] of tags.entries()) {
      const target = answer.targets[at]!;
      if (target.kind === "impossible") errors.push(target.error);
      else {
        const from = order.keep === "code" ? "kept" : "folder";
        found[tag] = { identity: identityOf(answer.code, wishes[tag]!, from), offers: target.offers };
      }
    }
  }
  const [first, ...others] = errors;
  if (first === undefined) return { found };
  if (others.length === 0) return { error: first };
  return { error: { ...first, message: errors.map(({ message }) => message).join(" ") } };
};
