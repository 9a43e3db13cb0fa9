/**
 * The role of a proxy: HTTP at the front, a router behind. Learns routes by long poll or, while no controller answers, from what its
 * last life kept on disk; accepts connections when it knows them. Its process ends when `exit` is called.
 */
import { assert } from "../base/assert.ts";
import { toErrorBody } from "../base/serve-error.ts";
import type { Meters } from "../core/metrics/meters.ts";
import type { ProxySpec } from "../model/actor.ts";
import { CLOSE_RESERVE_MS, PROXY_DRAIN_TIMEOUT_MS, ROUTES_WAIT_MS } from "../model/limits.ts";
import type { ActorReport, LinkEvents } from "../model/link-messages.ts";
import type { ActorFile } from "../model/places.ts";
import type { AgentLink } from "../ports/agent-link.ts";
import type { Clock } from "../ports/clock.ts";
import type { HttpEdge } from "../ports/http-edge.ts";
import type { Log } from "../ports/log.ts";
import type { Random } from "../ports/random.ts";
import type { SnapshotStore } from "../ports/snapshot-store.ts";
import type { Router } from "../router/router.ts";
import { EdgeMeters } from "./edge-meters.ts";
import { Front } from "./front.ts";
import { KeptSnapshots } from "./kept-snapshots.ts";

export interface ProxyPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly link: AgentLink;
  readonly edge: HttpEdge;
  readonly snapshots: SnapshotStore;
  readonly meters: Meters;
  /** Follows all endpoints; not started. */
  readonly router: Router;
}

export interface ProxyOptions {
  readonly file: ActorFile;
  /** The listening socket that the agent passed on. */
  readonly listenFd: number | undefined;
  /** What else should hear of the link: the rescue of the agent, the poll's transport, the metrics. */
  readonly linkEvents: Pick<LinkEvents, "onLeader" | "onUp" | "onDown" | "onCollect">;
  /** The role is over: the process should end with this status. */
  readonly exit: (status: number) => void;
}

export class ProxyRole {
  readonly #ports: ProxyPorts;
  readonly #options: ProxyOptions;
  readonly #spec: ProxySpec;
  readonly #front: Front;
  readonly #kept: KeptSnapshots;
  #report: ActorReport;
  #port: number | undefined;
  #drain: Promise<void> | undefined;
  #onLearnt: (() => void) | undefined;
  #isOver = false;

  constructor(ports: ProxyPorts, options: ProxyOptions) {
    const { spec, configRevision } = options.file.assignment;
    assert(spec.kind === "proxy", "a proxy process is started with the file of a proxy");
    const { router, edge, random, log, clock, meters } = ports;
    this.#ports = ports;
    this.#options = options;
    this.#spec = spec;
    this.#front = new Front({
      router,
      clock,
      meters: new EdgeMeters(meters, () => edge.counts()),
      reasonOf: (status) => edge.reasonOf(status),
      idPrefix: random.id().slice(0, 12),
      onSkipped: (endpoints) => log.error("routes-unreadable", { endpoints }),
    });
    this.#kept = new KeptSnapshots(ports, options.file.instanceId, () => router.snapshots());
    this.#report = {
      ...{
        state: "starting",
        address: undefined,
        configRevision,
        error: undefined,
        offers: undefined,
        loadedDigest: undefined,
      },
      health: "healthy",
    };
  }

  /** Where it listens, once it does. */
  get port(): number | undefined {
    return this.#port;
  }

  /** Resolves when it accepts connections, or is over. */
  async start(): Promise<void> {
    const { link, router, log } = this.#ports;
    const { linkEvents } = this.#options;
    link.start({
      ...linkEvents,
      onIntent: (intent) => {
        if (intent.kind === "drain") void this.drain(intent.timeoutMs);
      },
      onRefused: (reason) => {
        log.warn("proxy-not-wanted", { reason });
        void this.drain(PROXY_DRAIN_TIMEOUT_MS);
      },
    });
    this.#tell({});
    router.onEndpoints((known) => {
      this.#front.learn(known);
      this.#kept.changed();
      this.#onLearnt?.();
    });
    if (router.restore(this.#kept.load()))
      log.info("snapshots-restored", { endpoints: router.endpoints().endpoints.length });
    router.start();
    await this.#untilLearnt();
    if (this.#drain !== undefined || this.#isOver) return;
    await this.#listen();
  }

  /** Lets every client go with its answer, then ends with 0; within the time given. Resolves when it is over. */
  drain(timeoutMs: number): Promise<void> {
    this.#drain ??= this.#drainOnce(timeoutMs);
    return this.#drain;
  }

  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#ports.edge.stop();
    this.#kept.stop();
    this.#ports.router.stop();
    this.#ports.link.stop();
  }

  async #listen(): Promise<void> {
    const { edge, log } = this.#ports;
    const { listenFd } = this.#options;
    const { host, port } = this.#spec;
    try {
      const at =
        listenFd === undefined ? ({ kind: "port", host, port } as const) : ({ kind: "fd", fd: listenFd } as const);
      this.#port = await edge.listen(at, this.#front);
    } catch (error) {
      log.error("proxy-start-failed", { error });
      const { code, message } = toErrorBody(error);
      this.#tell({ error: { code, message } });
      this.stop();
      this.#options.exit(1);
      return;
    }
    const address = `tcp:${host.includes(":") ? `[${host}]` : host}:${this.#port}` as const;
    log.info("proxy-listening", { address, learnt: this.#front.hasLearnt });
    this.#tell({ address });
    this.#onLearnt = () => this.#tellReady();
    if (this.#front.hasLearnt) this.#tellReady();
  }

  /** Connections that come before wait in the kernel's queue, or go to another proxy of the same socket. */
  #untilLearnt(): Promise<void> {
    if (this.#front.hasLearnt) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#ports.clock.after(ROUTES_WAIT_MS, resolve);
      this.#onLearnt = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  #tellReady(): void {
    if (this.#report.state === "starting") this.#tell({ state: "ready" });
  }

  async #drainOnce(timeoutMs: number): Promise<void> {
    const { clock, edge, log } = this.#ports;
    log.info("proxy-draining", { timeoutMs });
    this.#tell({ state: "draining" });
    this.#onLearnt?.();
    await new Promise<void>((resolve) => {
      const timer = clock.after(Math.max(0, timeoutMs - CLOSE_RESERVE_MS), () => {
        log.warn("drain-incomplete");
        resolve();
      });
      void edge.drain().then(() => {
        timer.cancel();
        resolve();
      });
    });
    this.stop();
    log.info("proxy-ended");
    this.#options.exit(0);
  }

  #tell(change: Partial<ActorReport>): void {
    this.#report = { ...this.#report, ...change };
    this.#ports.link.report(this.#report);
  }
}
