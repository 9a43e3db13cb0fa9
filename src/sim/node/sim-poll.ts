/**
 * ports/poll-transport.ts and calls to a controller over the simulated network. A broken connection is an error to who asked, on the
 * way there or on the way back; a dead controller's connections break, a stopped one's wait. Messages cross as JSON.
 */
import { isServeError, ServeError } from "../../base/serve-error.ts";
import type { Controller } from "../../controller/controller.ts";
import type { Leader } from "../../model/link-messages.ts";
import type { PollAnswer, PollRequest } from "../../model/longpoll.ts";
import type { PollTransport } from "../../ports/poll-transport.ts";
import type { Scheduler } from "../kernel/scheduler.ts";
import type { SimProcess } from "../kernel/sim-process.ts";
import type { Weather } from "../kernel/weather.ts";

/** A controller process that answers at an address. */
export interface ControllerSeat {
  readonly process: SimProcess;
  readonly controller: Controller;
}

export interface Network {
  readonly scheduler: Scheduler;
  readonly weather: Weather;
  readonly seatAt: (address: string) => ControllerSeat | undefined;
  /** Whether nothing goes from one to the other. */
  readonly separates: (a: SimProcess, b: SimProcess) => boolean;
}

/** One request to a controller. Rejects with `controller-unavailable` when the connection breaks. */
export const ask = <T>(
  { scheduler, weather, separates }: Network,
  route: { readonly from: SimProcess; readonly to: ControllerSeat | undefined; readonly signal?: AbortSignal },
  handle: (controller: Controller, signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const { from, to, signal } = route;
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let isOver = false;
  /** The host's side of the connection. */
  const connection = new AbortController();
  const answer = (settle: () => void) => {
    if (isOver) return;
    isOver = true;
    scheduler.after(weather.netDelayMs(), () => from.deliver(settle));
  };
  const broken = (why: string) => {
    answer(() => reject(unavailable(why)));
    scheduler.after(weather.netDelayMs(), () => to?.process.deliver(() => connection.abort()));
  };
  signal?.addEventListener("abort", () => broken("it was given up"), { once: true });
  from.onDeath(() => broken("who asked is dead"));
  to?.process.onDeath(() => broken("the connection was closed"));
  const breaksThere = weather.breaksCall();
  const breaksBack = weather.breaksCall();
  scheduler.after(weather.netDelayMs(), () => {
    if (to === undefined || !to.process.isAlive || breaksThere || separates(from, to.process))
      return broken("nobody answers");
    to.process.deliver(() => {
      handle(to.controller, connection.signal).then(
        (value) => {
          if (breaksBack || !to.process.isAlive || separates(from, to.process)) broken("the connection broke");
          else answer(() => resolve(copyOf(value)));
        },
        (error: unknown) => answer(() => reject(errorOf(error))),
      );
    });
  });
  return promise;
};

export interface PollHooks {
  /** No queries are simulated: what the router would say of those of these backends. */
  loads(told: NonNullable<PollRequest["loads"]>): NonNullable<PollRequest["loads"]>;
  /** A poll has arrived at the controller, or its answer leaves; undefined: it ended otherwise. */
  onPoll(to: ControllerSeat, request: PollRequest): void;
  onAnswer(to: ControllerSeat, request: PollRequest, answer: PollAnswer | undefined): void;
}

export interface SimPollTransport extends PollTransport {
  leaderChanged(): void;
}

export const createSimPoll = (
  network: Network,
  from: SimProcess,
  options: { readonly leader: () => Leader | undefined; readonly hooks: PollHooks },
): SimPollTransport => {
  const listeners: (() => void)[] = [];
  return {
    poll: (asked, signal) => {
      const request = { ...asked, loads: options.hooks.loads(asked.loads ?? {}) };
      const leader = options.leader();
      const to = leader === undefined ? undefined : network.seatAt(leader.address);
      return ask(network, { from, to, signal }, (controller, hostSignal) => {
        options.hooks.onPoll(to!, request);
        return controller.poll(copyOf(request), hostSignal).then(
          (answer) => {
            options.hooks.onAnswer(to!, request, answer);
            return answer;
          },
          (error: unknown) => {
            options.hooks.onAnswer(to!, request, undefined);
            // REST answers such a thing with a status; to the transport it is all the same.
            throw unavailable(String(error));
          },
        );
      });
    },
    onLeaderChange: (callback) => void listeners.push(callback),
    leaderChanged: () => {
      for (const listener of listeners) listener();
    },
  };
};

const copyOf = <T>(value: T): T => (value === undefined ? value : (JSON.parse(JSON.stringify(value)) as T));

const errorOf = (error: unknown): ServeError =>
  isServeError(error) ? error : new ServeError("internal", String(error), { cause: error });

const unavailable = (why: string): ServeError =>
  new ServeError("controller-unavailable", `the controller does not answer: ${why}.`, { retryable: true });
