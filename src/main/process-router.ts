/**
 * A router for a process that holds handles, wired to the real world: sockets, the long poll to whatever controller the agent's link
 * names, and callers that know the words of user code. Nothing is dialled before the first query.
 */
import { createHttpPollTransport } from "../adapters/http-poll-transport.ts";
import { createSocketTransport } from "../adapters/socket-transport.ts";
import { type CallerFactory, callTracing, currentQuery, OpenCall } from "../api/api.ts";
import type { Meters } from "../core/metrics/meters.ts";
import type { Leader } from "../model/link-messages.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { Random } from "../ports/random.ts";
import { createHandleCallers, Router, type RouterIdentity } from "../router/router.ts";

export interface ProcessRouterPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly leader: () => Leader | undefined;
  readonly meters: Meters;
}

export interface ProcessRouter {
  readonly router: Router;
  readonly callers: CallerFactory;
  /** To be called when `leader()` has another answer. */
  leaderChanged(): void;
  stop(): void;
}

export const startProcessRouter = (ports: ProcessRouterPorts, identity: RouterIdentity): ProcessRouter => {
  const poll = createHttpPollTransport({ leader: ports.leader });
  const router = new Router({ ...ports, transport: createSocketTransport(), poll }, identity);
  const openCall = (cancel: (reason: unknown) => void) => new OpenCall(cancel);
  const words = { openCall, currentQuery, ...callTracing };
  router.start();
  return {
    router,
    callers: createHandleCallers(router, words, ports),
    leaderChanged: () => poll.leaderChanged(),
    stop() {
      router.stop();
      poll.close();
    },
  };
};
