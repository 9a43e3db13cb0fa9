/**
 * ports/code-probe.ts by the agent of this node: orders go over the controller's link, and over the next one when that is lost. An agent
 * answers every order in the end; while there is none for long, nobody can look.
 */
import { ServeError } from "../base/serve-error.ts";
import { PROBE_LINK_WAIT_MS } from "../model/code-limits.ts";
import type { ProbeAnswer, ProbeOrder } from "../model/probe.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { CodeProbe } from "../ports/code-probe.ts";

interface Pending {
  readonly order: ProbeOrder;
  readonly answer: PromiseWithResolvers<ProbeAnswer>;
}

export class LinkProbes implements CodeProbe {
  readonly #clock: Clock;
  readonly #send: (id: number, order: ProbeOrder) => void;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #isUp = false;
  #givingUp: Timer | undefined;

  /** `send` is called while the link is up. */
  constructor(clock: Clock, send: (id: number, order: ProbeOrder) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  probe(order: ProbeOrder): Promise<ProbeAnswer> {
    this.#lastId += 1;
    const answer = Promise.withResolvers<ProbeAnswer>();
    this.#pending.set(this.#lastId, { order, answer });
    if (this.#isUp) this.#send(this.#lastId, order);
    else this.#giveUpLater();
    return answer.promise;
  }

  linkUp(): void {
    this.#isUp = true;
    this.#givingUp?.cancel();
    this.#givingUp = undefined;
    for (const [id, { order }] of this.#pending) this.#send(id, order);
  }

  linkDown(): void {
    this.#isUp = false;
    if (this.#pending.size > 0) this.#giveUpLater();
  }

  answered(id: number, answer: ProbeAnswer): void {
    this.#pending.get(id)?.answer.resolve(answer);
    this.#pending.delete(id);
  }

  #giveUpLater(): void {
    this.#givingUp ??= this.#clock.after(PROBE_LINK_WAIT_MS, () => {
      this.#givingUp = undefined;
      for (const { answer } of this.#pending.values()) answer.reject(unavailable());
      this.#pending.clear();
    });
  }
}

const unavailable = (): ServeError =>
  new ServeError(
    "probe-unavailable",
    "the agent of the controller's node does not answer, so that nobody can look at the code. Nothing was changed. Send the call again when the agent is back.",
    { retryable: true },
  );
