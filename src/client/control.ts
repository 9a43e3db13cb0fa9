/**
 * Calls to the controller that survive its death: a request that got no answer is sent again with the same goal id, so it takes effect
 * once. Assumes that the transport says `controller-unavailable` for anything between "nobody there" and "died while answering".
 */
import { isServeError, ServeError } from "../base/serve-error.ts";
import type { Goal } from "../model/calls.ts";
import { CALL_ANSWER_MS } from "../model/code-limits.ts";
import { isGoalId } from "../model/ids.ts";
import {
  CONTROL_GONE_MS,
  CONTROL_RETRY_INTERVAL_MS,
  CONTROL_STORE_GONE_MS,
  GOAL_ANSWER_GRACE_MS,
  GOAL_WAIT_MS,
} from "../model/limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { ControlRequest, ControlTransport } from "../ports/control-transport.ts";

export interface Wait {
  readonly wait?: "reached" | "saved" | undefined;
  readonly goalId?: string | undefined;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Hears of the goal while it is pending. */
  readonly onProgress?: ((goal: Goal) => void) | undefined;
}

export interface ControlPorts {
  readonly transport: ControlTransport;
  readonly clock: Clock;
  readonly drawId: () => string;
  /** Whether the instance is over: then no retry helps. */
  readonly isGone: () => boolean;
  /** For messages. */
  readonly instance: string;
}

/** Answers after which the same request is sent again. */
const ASK_AGAIN: ReadonlySet<string> = new Set([
  "not-leading",
  "store-unavailable",
  "probe-unavailable",
  "probe-pending",
]);

export class Control {
  readonly #ports: ControlPorts;

  constructor(ports: ControlPorts) {
    this.#ports = ports;
  }

  /** Reads; throws ServeError. */
  async read<T>(path: string, signal?: AbortSignal): Promise<T> {
    return (await this.#send({ method: "GET", path }, { deadline: Number.POSITIVE_INFINITY, signal })) as T;
  }

  /** Asks something that takes a body and changes nothing; throws ServeError. By one key, so that code is not looked at anew each time. */
  async ask<T>(path: string, body: unknown): Promise<T> {
    const request = { method: "POST", path, body, idempotencyKey: this.#ports.drawId() } as const;
    return (await this.#send(request, { deadline: Number.POSITIVE_INFINITY, signal: undefined })) as T;
  }

  /** Changes something, then waits for its goal as told. */
  async change(request: Omit<ControlRequest, "idempotencyKey">, wait: Wait = {}): Promise<Goal> {
    checkWait(wait);
    const deadline = this.#deadlineOf(wait.timeoutMs);
    const idempotencyKey = wait.goalId ?? this.#ports.drawId();
    // A caller who waits briefly still hears what has become of the call: its wait is for the goal.
    const bounds = { deadline, answerMs: CALL_ANSWER_MS, signal: wait.signal };
    const goal = (await this.#send({ ...request, idempotencyKey }, bounds)) as Goal;
    if (wait.wait === "saved") return goal;
    return this.#settled(goal, { deadline, signal: wait.signal, onProgress: wait.onProgress });
  }

  /** Waits until the goal is reached. Throws goal-failed, goal-superseded, goal-pending (time is up), goal-unknown. */
  async waitForGoal(
    id: string,
    options: {
      readonly timeoutMs?: number | undefined;
      readonly signal?: AbortSignal | undefined;
      readonly onProgress?: ((goal: Goal) => void) | undefined;
    } = {},
  ): Promise<Goal> {
    checkWait({ timeoutMs: options.timeoutMs });
    const deadline = this.#deadlineOf(options.timeoutMs);
    const goal = await this.#goal(id, 0, { deadline, signal: options.signal });
    return this.#settled(goal, { deadline, signal: options.signal, onProgress: options.onProgress });
  }

  async #settled(
    first: Goal,
    wait: {
      readonly deadline: number;
      readonly signal: AbortSignal | undefined;
      readonly onProgress: ((goal: Goal) => void) | undefined;
    },
  ): Promise<Goal> {
    let goal = first;
    while (goal.state === "pending") {
      wait.onProgress?.(goal);
      const left = wait.deadline - this.#ports.clock.now();
      if (left <= 0) throw pendingError(goal);
      const waitMs = Math.min(left, wait.onProgress === undefined ? GOAL_WAIT_MS : 1_000);
      goal = await this.#goalUnlessLate(goal, waitMs, wait);
    }
    if (goal.state === "reached") return goal;
    throw outcomeError(goal);
  }

  /** The goal after a wait. When the caller's time is up and nobody has answered, the goal as it was last seen. */
  async #goalUnlessLate(
    last: Goal,
    waitMs: number,
    wait: { readonly deadline: number; readonly signal: AbortSignal | undefined },
  ): Promise<Goal> {
    try {
      // The answer to a wait that lasts until the deadline comes just after it.
      return await this.#goal(last.id, waitMs, { ...wait, deadline: wait.deadline + GOAL_ANSWER_GRACE_MS });
    } catch (error) {
      const isLate = isServeError(error) && error.code === "controller-unavailable";
      if (isLate && this.#ports.clock.now() >= wait.deadline) return last;
      throw error;
    }
  }

  #goal(
    id: string,
    waitMs: number,
    wait: { readonly deadline: number; readonly signal: AbortSignal | undefined },
  ): Promise<Goal> {
    const path = `/v1/goals/${encodeURIComponent(id)}?waitMs=${Math.ceil(waitMs)}`;
    return this.#send({ method: "GET", path }, { ...wait, graceMs: waitMs }) as Promise<Goal>;
  }

  /** Sends until somebody answers, the deadline passes, nobody has answered for CONTROL_GONE_MS, or the store takes no writes. */
  async #send(
    request: ControlRequest,
    wait: {
      readonly deadline: number;
      readonly signal: AbortSignal | undefined;
      readonly graceMs?: number;
      /** An answer is waited for at least so long, past the deadline too. */
      readonly answerMs?: number;
    },
  ): Promise<unknown> {
    const { clock, transport, isGone, instance } = this.#ports;
    const giveUpFrom = (now: number) => Math.min(wait.deadline, now + (wait.graceMs ?? 0) + CONTROL_GONE_MS);
    let giveUp = giveUpFrom(clock.now());
    let storeFailsSince: number | undefined;
    for (;;) {
      wait.signal?.throwIfAborted();
      try {
        const timeoutMs = Math.max(wait.answerMs ?? CONTROL_RETRY_INTERVAL_MS, giveUp - clock.now());
        const answer = await transport.send(request, { timeoutMs, signal: wait.signal });
        if (answer.status < 400) return answer.body;
        const error = errorOf(answer.body);
        if (!ASK_AGAIN.has(error.code)) throw error;
        // A controller that is at work on the call is not gone.
        if (error.code === "probe-pending") giveUp = giveUpFrom(clock.now());
        if (error.code === "store-unavailable") storeFailsSince ??= clock.now();
        const isStoreGone = storeFailsSince !== undefined && clock.now() - storeFailsSince >= CONTROL_STORE_GONE_MS;
        if (isStoreGone || clock.now() >= giveUp) throw error;
      } catch (error) {
        wait.signal?.throwIfAborted();
        if (!(error instanceof ServeError) || error.code !== "controller-unavailable") throw error;
        if (isGone())
          throw new ServeError(
            "instance-unknown",
            `instance "${instance}" is not running. Start it with: maitred start --instance ${instance}`,
          );
        if (clock.now() >= giveUp) {
          throw new ServeError(
            "controller-unavailable",
            `no controller of instance "${instance}" answered in time. Where its agent is gone too, this brings both back: maitred start --instance ${instance}`,
            {
              retryable: true,
              cause: error,
            },
          );
        }
      }
      await this.#pause();
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#ports.clock.after(CONTROL_RETRY_INTERVAL_MS, resolve);
    });
  }

  #deadlineOf(timeoutMs: number | undefined): number {
    return timeoutMs === undefined ? Number.POSITIVE_INFINITY : this.#ports.clock.now() + timeoutMs;
  }
}

/** What would otherwise end as an error of a timer or of an HTTP header. */
const checkWait = ({ goalId, timeoutMs, wait }: Wait): void => {
  if (goalId !== undefined && !isGoalId(goalId)) {
    const got = JSON.stringify(goalId);
    throw new ServeError(
      "config-invalid",
      `goalId must be 1 to 100 characters of letters, digits and . _ : -, got ${got}.`,
    );
  }
  if (timeoutMs !== undefined && !(timeoutMs >= 0))
    throw new ServeError("config-invalid", `timeoutMs must be a number of milliseconds, 0 or more, got ${timeoutMs}.`);
  if (wait !== undefined && wait !== "reached" && wait !== "saved")
    throw new ServeError("config-invalid", `wait must be "reached" or "saved", got ${JSON.stringify(wait)}.`);
};

const errorOf = (body: unknown): ServeError => {
  const problem = (typeof body === "object" && body !== null ? body : {}) as {
    readonly code?: string;
    readonly detail?: string;
    readonly message?: string;
    readonly retryable?: boolean;
    readonly details?: Readonly<Record<string, unknown>>;
  };
  return new ServeError(
    problem.code ?? "internal",
    problem.message ?? problem.detail ?? "the controller gave an answer that is no problem document.",
    {
      retryable: problem.retryable ?? false,
      details: problem.details,
    },
  );
};

const pendingError = (goal: Goal): ServeError => {
  const progress = goal.progress === undefined ? "" : ` (${goal.progress.done} of ${goal.progress.total})`;
  const why = goal.reason === undefined ? "" : ` Why: ${goal.reason}`;
  const laggards =
    goal.laggards === undefined || goal.laggards.length === 0 ? "" : ` Not there yet: ${goal.laggards.join(", ")}.`;
  return new ServeError(
    "goal-pending",
    `goal ${goal.id} is still pending${progress}; it goes on.${why}${laggards} Wait again with: maitred goal wait ${goal.id}`,
    {
      retryable: true,
      details: { goalId: goal.id, progress: goal.progress, reason: goal.reason, laggards: goal.laggards },
    },
  );
};

const outcomeError = (goal: Goal): ServeError =>
  goal.state === "superseded"
    ? new ServeError("goal-superseded", `goal ${goal.id} was superseded by ${goal.supersededBy ?? "a newer change"}.`, {
        details: { goalId: goal.id, supersededBy: goal.supersededBy },
      })
    : new ServeError("goal-failed", goal.error?.message ?? `goal ${goal.id} failed.`, {
        details: { goalId: goal.id, error: goal.error },
      });
