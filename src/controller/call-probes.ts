/**
 * Completes calls that name code: before anything is saved a probe has loaded it, and the call holds its identity and what it offers.
 * A call that was applied already, or that would be refused anyway, is not probed. The same call again, while its probe runs, waits for
 * the same probe: a client that gets no answer for long asks again.
 */
import { fromErrorBody, ServeError } from "../base/serve-error.ts";
import type { CallOutcome } from "../core/calls/outcome.ts";
import { canonicalJson } from "../core/canonical.ts";
import { type CodeWish, type FoundCode, foundCodeOf, probeGroups } from "../core/probe-orders.ts";
import type { Call } from "../model/calls.ts";
import { PROBE_ANSWER_KEEP_MS, PROBE_ANSWER_MS } from "../model/code-limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { CodeProbe } from "../ports/code-probe.ts";

type Judge = (call: Call) => CallOutcome | { readonly kind: "known" };

export class CallProbes {
  readonly #ports: { readonly clock: Clock; readonly probe: CodeProbe };
  /** By goal id and call. */
  readonly #open = new Map<string, Promise<Call>>();

  constructor(ports: { readonly clock: Clock; readonly probe: CodeProbe }) {
    this.#ports = ports;
  }

  /**
   * The call as it can be applied. Rejects with what is wrong with the code, with why the call would be refused, or with a retryable
   * `probe-pending` when the probe takes long.
   */
  async complete(call: Call, judge: Judge, stopping: AbortSignal): Promise<Call> {
    const wishes = wishesOf(call);
    if (Object.keys(wishes).length === 0) return call;
    const key = canonicalJson(call);
    const running = this.#open.get(key);
    if (running === undefined) {
      const verdict = judge(call);
      if (verdict.kind === "known") return call;
      if (verdict.kind === "refused") throw fromErrorBody(verdict.error);
    }
    const completed = running ?? this.#begin(key, call, wishes);
    const answer = await this.#soon(completed, stopping);
    if (answer === "later") throw pending();
    this.#open.delete(key);
    return answer;
  }

  #begin(key: string, call: Call, wishes: Readonly<Record<string, CodeWish>>): Promise<Call> {
    const { clock, probe } = this.#ports;
    const completed = lookAt(probe, wishes).then((found) => completedCall(call, found));
    this.#open.set(key, completed);
    const forgetLater = () =>
      void clock.after(PROBE_ANSWER_KEEP_MS, () => {
        if (this.#open.get(key) === completed) this.#open.delete(key);
      });
    completed.then(forgetLater, () => {
      // Whoever waits has it; whoever asks again may have mended the code.
      if (this.#open.get(key) === completed) this.#open.delete(key);
    });
    return completed;
  }

  #soon(completed: Promise<Call>, stopping: AbortSignal): Promise<Call | "later"> {
    return new Promise((resolve, reject) => {
      const later = () => resolve("later");
      const timer = this.#ports.clock.after(PROBE_ANSWER_MS, later);
      stopping.addEventListener("abort", later);
      completed.then(resolve, reject).finally(() => {
        timer.cancel();
        stopping.removeEventListener("abort", later);
      });
    });
  }
}

/** Identity and offers of each backend; throws all that is wrong. */
const lookAt = async (
  probe: CodeProbe,
  wishes: Readonly<Record<string, CodeWish>>,
): Promise<Readonly<Record<string, FoundCode>>> => {
  const groups = probeGroups(wishes, "code");
  const answers = await Promise.all(groups.map(({ order }) => probe.probe(order)));
  const outcome = foundCodeOf(wishes, groups, answers);
  if ("error" in outcome) throw fromErrorBody(outcome.error);
  return outcome.found;
};

/** Backends whose code nobody has looked at. */
const wishesOf = (call: Call): Readonly<Record<string, CodeWish>> => {
  const named = call.kind === "createBackend" ? { [call.tag]: call } : call.kind === "deploy" ? call.backends : {};
  return Object.fromEntries(Object.entries(named).filter(([, { identity }]) => identity === undefined));
};

const completedCall = (call: Call, found: Readonly<Record<string, FoundCode>>): Call => {
  if (call.kind === "createBackend") return { ...call, ...found[call.tag] };
  if (call.kind !== "deploy") return call;
  const backends = Object.entries(call.backends).map(([tag, backend]) => [tag, { ...backend, ...found[tag] }] as const);
  return { ...call, backends: Object.fromEntries(backends) };
};

const pending = (): ServeError =>
  new ServeError(
    "probe-pending",
    "the code is still being loaded to look at it; nothing is changed yet. Send the call again with the same goal id.",
    { retryable: true },
  );
