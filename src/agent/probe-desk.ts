/**
 * Takes the orders for probes of a node: a few run at a time, the others wait. Equal orders share one that has not begun yet, never one
 * that runs: it may have read a file before its writer asked.
 */
import { ServeError } from "../base/serve-error.ts";
import { canonicalJson } from "../core/canonical.ts";
import { MAX_PROBES, MAX_QUEUED_PROBES } from "../model/code-limits.ts";
import type { LoadedCode } from "../model/code-ref.ts";
import type { ProbeAnswer, ProbeOrder } from "../model/probe.ts";
import type { CodeProbe } from "../ports/code-probe.ts";

interface Waiting {
  readonly order: ProbeOrder;
  readonly answer: PromiseWithResolvers<ProbeAnswer>;
}

export class ProbeDesk implements CodeProbe {
  readonly #probe: CodeProbe;
  readonly #onFound: (code: LoadedCode) => void;
  /** By order; first come, first served. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #running = new Set<string>();

  constructor(probe: CodeProbe, onFound: (code: LoadedCode) => void) {
    this.#probe = probe;
    this.#onFound = onFound;
  }

  probe(order: ProbeOrder): Promise<ProbeAnswer> {
    const key = canonicalJson(order);
    const known = this.#waiting.get(key);
    if (known !== undefined) return known.answer.promise;
    if (this.#waiting.size >= MAX_QUEUED_PROBES) {
      const message = `${MAX_QUEUED_PROBES} probes wait already. Send the call again in a moment.`;
      return Promise.reject(new ServeError("probe-unavailable", message, { retryable: true }));
    }
    const waiting: Waiting = { order, answer: Promise.withResolvers() };
    this.#waiting.set(key, waiting);
    this.#next();
    return waiting.answer.promise;
  }

  #next(): void {
    for (const [key, { order, answer }] of this.#waiting) {
      if (this.#running.size >= MAX_PROBES) return;
      if (this.#running.has(key)) continue;
      this.#waiting.delete(key);
      this.#running.add(key);
      this.#run(key, order).then(answer.resolve, answer.reject);
    }
  }

  async #run(key: string, order: ProbeOrder): Promise<ProbeAnswer> {
    try {
      const answer = await this.#probe.probe(order);
      if (answer.kind === "loaded") this.#onFound(answer.code);
      return answer;
    } finally {
      this.#running.delete(key);
      this.#next();
    }
  }
}
