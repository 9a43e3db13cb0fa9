/**
 * A proxy role in this process: real HTTP in front, a real router, real replicas behind it. The controller is the test: it says which
 * endpoints there are.
 */
import type { EdgeLimits } from "../../src/adapters/edge-limits.ts";
import { createNodeHttpEdge } from "../../src/adapters/node-http-edge.ts";
import { createSocketTransport } from "../../src/adapters/socket-transport.ts";
import { createSystemClock } from "../../src/adapters/system-clock.ts";
import { createSystemRandom } from "../../src/adapters/system-random.ts";
import { Meters } from "../../src/core/metrics/meters.ts";
import type { BackendConfigInput } from "../../src/model/backend-config.ts";
import type { EndpointSpec } from "../../src/model/endpoint.ts";
import { type ActorName, actorName, type NodeName } from "../../src/model/ids.ts";
import type { EndpointClosure, PollAnswer } from "../../src/model/longpoll.ts";
import type { ActorFile } from "../../src/model/places.ts";
import type { PollTransport } from "../../src/ports/poll-transport.ts";
import type { SnapshotStore } from "../../src/ports/snapshot-store.ts";
import { ProxyRole } from "../../src/proxy/proxy.ts";
import { Router } from "../../src/router/router.ts";
import { MemoryLink, memoryLog, ReplicaLab, type StartedReplica } from "./replica-lab.ts";
import { backendOf, endpointOf } from "./router-lab.ts";

export interface ProxyWish {
  /** What a last life kept. */
  readonly saved?: unknown;
  /** Default: it knows that there are no endpoints. */
  readonly controller?: "answers" | "is silent";
  /** Default: a port of its own. */
  readonly port?: number;
  /** Default: the product's. */
  readonly limits?: Partial<EdgeLimits>;
}

/** A door, or what a module exports with the class or function as default. */
export interface Served extends Partial<EndpointSpec> {
  readonly tag?: string;
  readonly door: unknown;
  readonly config?: BackendConfigInput;
}

export class ProxyLab {
  readonly replicas = new ReplicaLab();
  readonly #proxies: StartedProxy[] = [];

  async start(wish: ProxyWish = {}): Promise<StartedProxy> {
    const proxy = new StartedProxy(wish, this.#proxies.length + 1);
    this.#proxies.push(proxy);
    const starting = proxy.role.start();
    if (wish.controller !== "is silent" && wish.saved === undefined) proxy.publish();
    await starting;
    return proxy;
  }

  /** A proxy in front of these, each on a replica of its own. */
  serve(...served: readonly Served[]): Promise<StartedProxy> {
    return this.serveWith({}, ...served);
  }

  async serveWith(wish: ProxyWish, ...served: readonly Served[]): Promise<StartedProxy> {
    const proxy = await this.start(wish);
    const closures: EndpointClosure[] = [];
    for (const { tag = "e", door, config, ...spec } of served) {
      const replica = await this.replicas.start({
        exports: { default: door },
        ...(config === undefined ? {} : { config }),
      });
      proxy.backends.push(replica);
      closures.push(closureOf(tag, [replica], { route: "/*", ...spec }));
    }
    proxy.publish(...closures);
    return proxy;
  }

  async close(): Promise<void> {
    for (const { role } of this.#proxies.splice(0)) role.stop();
    await this.replicas.close();
  }

  remove(): void {
    this.replicas.remove();
  }
}

export const closureOf = (
  tag: string,
  replicas: readonly StartedReplica[],
  spec: Partial<EndpointSpec>,
): EndpointClosure =>
  endpointOf({ [`${tag}:v1`]: backendOf(replicas.map((replica) => ({ entry: entryOf(replica) }))) }, { tag, spec });

const entryOf = ({ file, address }: StartedReplica) => ({
  replica: file.assignment.actor,
  incarnation: file.incarnation,
  address,
});

export class StartedProxy {
  readonly link = new MemoryLink();
  readonly log = memoryLog();
  readonly meters = new Meters();
  readonly role: ProxyRole;
  readonly router: Router;
  readonly exited: Promise<number>;
  readonly backends: StartedReplica[] = [];
  /** What is on its disk. */
  saved: unknown;
  #counter = 0;

  constructor({ saved, port = 0, limits = {} }: ProxyWish, ordinal: number) {
    this.saved = saved;
    const exit = Promise.withResolvers<number>();
    this.exited = exit.promise;
    const clock = createSystemClock();
    const random = createSystemRandom();
    const actor = actorName("proxy", ordinal);
    const snapshots: SnapshotStore = {
      load: () => this.saved,
      save: (value) => {
        this.saved = JSON.parse(JSON.stringify(value));
      },
    };
    this.router = new Router(
      { transport: createSocketTransport(), clock, random, log: this.log, poll: SILENT, meters: this.meters },
      { instanceId: "i-1", peer: actor, kind: "proxy", follow: "all" },
    );
    this.role = new ProxyRole(
      {
        clock,
        log: this.log,
        random,
        link: this.link,
        edge: createNodeHttpEdge({ limits }),
        snapshots,
        router: this.router,
        meters: this.meters,
      },
      { file: fileOf(actor, port), listenFd: undefined, linkEvents: {}, exit: exit.resolve },
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.role.port}`;
  }

  /** One more snapshot, which holds all there is. */
  publish(...endpoints: readonly EndpointClosure[]): void {
    this.#counter += 1;
    this.router.apply({ snapshot: { epoch: 1, counter: this.#counter }, complete: true, endpoints, removed: [] });
  }
}

const SILENT: PollTransport = {
  poll: () => new Promise<PollAnswer>(() => {}),
  onLeaderChange: () => {},
};

const fileOf = (actor: ActorName, port: number): ActorFile => ({
  instanceId: "i-1",
  instance: "test",
  stateDir: "/nowhere",
  runDir: "/nowhere",
  assignment: {
    actor,
    node: "n" as NodeName,
    spec: { kind: "proxy", host: "127.0.0.1", port },
    rollout: 0,
    configRevision: 1,
    intent: { kind: "run" },
  },
  incarnation: 1,
  process: undefined,
  failedStarts: 0,
  startedAt: 0,
});
