/**
 * A router in this process, on real sockets and the real clock, told of endpoints by the test instead of a controller. Everything that
 * is started through it is ended by `close`.
 */
import { createSocketTransport } from "../../src/adapters/socket-transport.ts";
import { createSystemClock } from "../../src/adapters/system-clock.ts";
import { createSystemRandom } from "../../src/adapters/system-random.ts";
import { Meters } from "../../src/core/metrics/meters.ts";
import type { EndpointSpec } from "../../src/model/endpoint.ts";
import type { BackendTag, EndpointTag } from "../../src/model/ids.ts";
import type { BackendClosure, EndpointClosure, ReplicaEntry } from "../../src/model/longpoll.ts";
import type { ReplyHead, WireFailure } from "../../src/model/wire.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { PollTransport } from "../../src/ports/poll-transport.ts";
import type { Random } from "../../src/ports/random.ts";
import { type ReplySink, Router, type RouterQuery, type SentQuery } from "../../src/router/router.ts";
import { memoryLog } from "./replica-lab.ts";
import { WireReplica, type WireReplicaOptions } from "./wire-replica.ts";

export interface Outcome {
  readonly head: ReplyHead | undefined;
  readonly parts: readonly Uint8Array[];
  readonly failure: WireFailure | undefined;
}

/** A query under way: `outcome` resolves at its end. */
export interface Asked extends SentQuery {
  readonly outcome: Promise<Outcome>;
  /** What has come so far. */
  readonly soFar: { head: ReplyHead | undefined; parts: Uint8Array[]; ends: number };
}

const NEVER_POLLED: PollTransport = {
  poll: () => new Promise(() => {}),
  onLeaderChange: () => {},
};

export interface RouterLabOptions {
  /** Default: the real one. */
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  readonly poll?: PollTransport | undefined;
  readonly follow?: "all" | "used" | undefined;
}

export class RouterLab {
  readonly log = memoryLog();
  readonly meters = new Meters();
  readonly clock: Clock;
  readonly router: Router;
  readonly #replicas: WireReplica[] = [];
  #counter = 0;

  constructor(options: RouterLabOptions = {}) {
    this.clock = options.clock ?? createSystemClock();
    const ports = {
      transport: createSocketTransport(),
      clock: this.clock,
      random: options.random ?? createSystemRandom(),
      log: this.log,
      meters: this.meters,
      poll: options.poll ?? NEVER_POLLED,
    };
    const { follow = "all" } = options;
    this.router = new Router(ports, { instanceId: "i-1", peer: "test", kind: "proxy", follow });
  }

  async replica(options: WireReplicaOptions = {}): Promise<WireReplica> {
    const replica = await WireReplica.start({ ordinal: this.#replicas.length + 1, ...options });
    this.#replicas.push(replica);
    return replica;
  }

  /** One more snapshot, which holds all there is. */
  publish(...endpoints: readonly EndpointClosure[]): void {
    this.#counter += 1;
    this.router.apply({ snapshot: { epoch: 1, counter: this.#counter }, complete: true, endpoints, removed: [] });
  }

  ask(query: Partial<RouterQuery> = {}): Asked {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const soFar: Asked["soFar"] = { head: undefined, parts: [], ends: 0 };
    const end = (failure?: WireFailure) => {
      soFar.ends += 1;
      resolve({ ...soFar, failure });
    };
    const sink: ReplySink = {
      onReply(head, body, part) {
        soFar.head = head;
        this.onData(body, part);
      },
      onData(bytes, part) {
        if (bytes.length > 0) soFar.parts.push(bytes);
        if (part === "end") end();
      },
      onFailure: end,
    };
    const sent = this.router.send(queryOf(query), sink);
    return { outcome: promise, soFar, cancel: () => sent.cancel(), consumed: (bytes) => sent.consumed(bytes) };
  }

  async close(): Promise<void> {
    this.router.stop();
    for (const replica of this.#replicas.splice(0)) await replica.close();
  }
}

const queryOf = (query: Partial<RouterQuery>): RouterQuery =>
  ({
    kind: "method",
    name: "run",
    endpoint: "e",
    requestId: "r-1",
    shardKey: undefined,
    trace: undefined,
    body: undefined,
    timeoutMs: 10_000,
    idempotent: undefined,
    safeMethod: false,
    ...query,
  }) as RouterQuery;

const SPEC: EndpointSpec = {
  route: undefined,
  methods: undefined,
  stripPrefix: false,
  idempotent: false,
  timeoutMs: undefined,
  expose: [],
};

export interface EndpointWish {
  readonly tag?: string | undefined;
  readonly spec?: Partial<EndpointSpec> | undefined;
  /** Default: equal shares for all backends that are not shadows. */
  readonly traffic?: Readonly<Record<string, number>> | undefined;
  readonly shadows?: Readonly<Record<string, number>> | undefined;
}

export const endpointOf = (
  backends: Readonly<Record<string, BackendClosure>>,
  { tag = "e", spec = {}, traffic, shadows = {} }: EndpointWish = {},
): EndpointClosure => {
  const primaries = Object.keys(backends).filter((backend) => !Object.hasOwn(shadows, backend));
  const equal = Object.fromEntries(primaries.map((backend) => [backend, 1 / primaries.length]));
  return {
    tag: tag as EndpointTag,
    spec: { ...SPEC, ...spec },
    traffic: (traffic ?? equal) as Readonly<Record<BackendTag, number>>,
    shadows: shadows as Readonly<Record<BackendTag, number>>,
    backends: backends as Readonly<Record<BackendTag, BackendClosure>>,
  };
};

export const backendOf = (
  replicas: readonly { readonly entry: ReplicaEntry }[],
  limits: Partial<BackendClosure> = {},
): BackendClosure => ({
  maxConcurrentQueries: 100,
  maxQueuedQueries: 1_000,
  replicas: replicas.map(({ entry }) => entry),
  ...limits,
});
