/**
 * The role of a replica: loads the user's code, serves its queries, applies configuration, checks health, drains, ends. The process
 * around it gives it ports and ends when `exit` is called: 0 after a drain, 1 when it could not start or its code broke it.
 * Whatever the agent must know goes over its link, whole, at each change.
 */
import type { CallerFactory, CodeHost } from "../api/api.ts";
import { assert } from "../base/assert.ts";
import { isServeError, messageOf, ServeError, toErrorBody } from "../base/serve-error.ts";
import { offerProblems } from "../core/backend-rules.ts";
import type { Meters } from "../core/metrics/meters.ts";
import type { ReplicaSpec } from "../model/actor.ts";
import type { BackendConfig } from "../model/backend-config.ts";
import type { ErrorBody } from "../model/error-codes.ts";
import { CLOSE_RESERVE_MS, CRASH_DRAIN_MS, FAILED_START_REPORT_MS } from "../model/limits.ts";
import type { ActorReport } from "../model/link-messages.ts";
import { type ActorFile, runFiles } from "../model/places.ts";
import { WIRE_PROTOCOL } from "../model/wire.ts";
import type { AgentLink } from "../ports/agent-link.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { CodeLoader } from "../ports/module-loader.ts";
import type { Transport } from "../ports/transport.ts";
import type { Target } from "../target/target.ts";
import { HealthWatch } from "./health.ts";
import { loadTarget, reconfigure } from "./load-target.ts";
import { countBatches, ReplicaMeters } from "./replica-meters.ts";
import { WireServer } from "./wire-server.ts";
import { within } from "./within.ts";

export interface ReplicaPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly link: AgentLink;
  readonly transport: Transport;
  readonly loader: CodeLoader;
  /** For handles inside the user's code. */
  readonly callers: CallerFactory;
  readonly host: CodeHost;
  readonly meters: Meters;
}

export interface ReplicaOptions {
  readonly file: ActorFile;
  /** The role is over: the process should end with this status. */
  readonly exit: (status: number) => void;
}

interface Revision {
  readonly configRevision: number;
  readonly config: BackendConfig;
}

export class Replica {
  readonly #ports: ReplicaPorts;
  readonly #options: ReplicaOptions;
  readonly #spec: ReplicaSpec;
  #report: ActorReport = {
    state: "starting",
    address: undefined,
    configRevision: 0,
    error: undefined,
    offers: undefined,
    loadedDigest: undefined,
    health: "healthy",
  };
  #config: BackendConfig;
  /** `userConfig` that the code was given last, as text to compare. */
  #userConfig: string | undefined;
  #heardRevision: number;
  /** The newest configuration that is not applied. */
  #wanted: Revision | undefined;
  #isConfiguring = false;
  #target: Target | undefined;
  #server: WireServer | undefined;
  #health: HealthWatch | undefined;
  #drain: Promise<void> | undefined;
  #isLinked = false;
  #onLinked: (() => void) | undefined;
  #isOver = false;

  constructor(ports: ReplicaPorts, options: ReplicaOptions) {
    const { spec } = options.file.assignment;
    assert(spec.kind === "replica", "a replica process is started with the file of a replica");
    this.#ports = ports;
    this.#options = options;
    this.#spec = spec;
    this.#config = spec.config;
    this.#heardRevision = options.file.assignment.configRevision;
  }

  /** Resolves when it serves, or is over. */
  async start(): Promise<void> {
    const { clock, link, callers, host, meters } = this.#ports;
    link.start({
      onUp: () => this.#linked(),
      onDown: () => {
        this.#isLinked = false;
      },
      onConfigure: (configRevision, config) => this.#configure({ configRevision, config }),
      onIntent: (intent) => {
        if (intent.kind === "drain") void this.drain(intent.timeoutMs);
      },
      onRefused: (reason) => this.#refused(reason),
    });
    host.installCallers(callers);
    host.setBatchOverrides(this.#config);
    host.watchBatches(countBatches(meters, this.#spec.backend));
    this.#tell({});
    const { startTimeoutMs } = this.#config;
    try {
      await within(clock, startTimeoutMs, {
        promise: this.#load(),
        late: () => startTimeout(this.#spec, startTimeoutMs),
      });
    } catch (error) {
      await this.#failStart(error);
      return;
    }
    if (this.#drain !== undefined || this.#isOver) return;
    this.#serve();
  }

  /**
   * Takes no new queries, finishes the open ones, closes the user's code, ends with 0; all within the time given.
   * Resolves when it is over.
   */
  drain(timeoutMs: number = this.#config.gracefulShutdownTimeoutMs): Promise<void> {
    this.#drain ??= this.#drainOnce(timeoutMs, 0);
    return this.#drain;
  }

  /**
   * An exception that no query owns: what state the code is in, nobody knows, and the process ends with 1. Queries that are open have
   * a moment to end; most have nothing to do with it.
   */
  async crash(error: unknown): Promise<void> {
    if (this.#isOver || this.#drain !== undefined) return;
    if (this.#report.state === "starting") return this.#failStart(error);
    this.#ports.log.error("replica-crashed", { error });
    const message = `backend "${this.#spec.backend}": an exception outside any query ended the replica: ${messageOf(error)}`;
    this.#tell({ error: { code: "handler-failed", message } });
    this.#drain = this.#drainOnce(Math.min(CRASH_DRAIN_MS, this.#config.gracefulShutdownTimeoutMs), 1);
    await this.#drain;
  }

  /** A promise that nobody awaits was rejected: while it starts that is a failed start, later one forgotten `await`. */
  async rejected(error: unknown): Promise<void> {
    if (this.#report.state === "starting") await this.crash(error);
    else this.#ports.log.error("unhandled-rejection", { error });
  }

  async stop(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#health?.stop();
    this.#ports.host.installCallers(undefined);
    this.#ports.host.watchBatches(undefined);
    await this.#server?.stop();
    this.#ports.link.stop();
  }

  // ── start
  async #load(): Promise<void> {
    const { clock, log, transport, loader, meters } = this.#ports;
    const { file } = this.#options;
    const { actor } = file.assignment;
    const { backend, code } = this.#spec;
    const { userConfig, maxConcurrentQueries } = this.#config;
    const target = await loadTarget(loader, { backend, code, config: this.#config });
    this.#userConfig = textOf(userConfig);
    this.#target = target;
    if (this.#drain !== undefined || this.#isOver) return;
    const server = new WireServer({
      ...{ clock, log, transport, target, maxConcurrentQueries },
      meters: new ReplicaMeters(meters, backend, target.offers.methods),
      facts: { instance: file.instance, backendTag: backend, replicaTag: actor, own: this.#ports.host.own },
      hello: {
        protocol: WIRE_PROTOCOL,
        instanceId: file.instanceId,
        replica: actor,
        incarnation: file.incarnation,
        peer: actor,
      },
    });
    this.#server = server;
    meters.gauges((write) => {
      const labels = { backend, process: actor };
      write("maitred_replica_running", labels, server.openQueries);
      write("maitred_replica_limit", labels, this.#config.maxConcurrentQueries);
    });
    const address = await server.listen(`unix:${runFiles(file.runDir).actorSocket(actor, file.incarnation)}`);
    this.#report = { ...this.#report, address, offers: target.offers };
  }

  #serve(): void {
    const { clock, log } = this.#ports;
    const { checkHealth } = this.#target!.life;
    if (checkHealth !== undefined) {
      this.#health = new HealthWatch({
        clock,
        check: checkHealth,
        times: () => this.#config,
        onChange: (health, reason) => {
          log.warn("health-changed", { health, reason });
          this.#tell({ health, healthReason: reason });
        },
      });
      this.#health.start();
    }
    log.info("replica-ready", { address: this.#report.address, ...this.#report.offers });
    this.#tell({ state: "ready", configRevision: this.#options.file.assignment.configRevision });
    void this.#applyWanted();
    void this.#tellDigest();
  }

  /** When it serves: nobody waits for it. */
  async #tellDigest(): Promise<void> {
    const { code, config } = this.#spec;
    const { nodeArgs, codeVersion } = config;
    const loadedDigest = await this.#ports.loader.digest({ args: code.args, nodeArgs, codeVersion });
    if (loadedDigest !== undefined && !this.#isOver) this.#tell({ loadedDigest });
  }

  async #failStart(error: unknown): Promise<void> {
    if (this.#isOver || this.#drain !== undefined) return;
    const { backend } = this.#spec;
    const known = isServeError(error)
      ? error
      : new ServeError("start-failed", `backend "${backend}": the start failed: ${messageOf(error)}`, { cause: error });
    this.#ports.log.error("replica-start-failed", { error: known, toldBy: this.#isFirstStart() ? "goal" : undefined });
    this.#tell({ error: bodyOf(known) });
    await this.#untilLinked();
    this.#end(1);
  }

  /** None before it was ready: whoever waits for the goal is told why. A restart that fails is news to nobody but the log. */
  #isFirstStart(): boolean {
    const { incarnation, failedStarts } = this.#options.file;
    return failedStarts === incarnation - 1;
  }

  // ── configuration
  #configure(revision: Revision): void {
    if (revision.configRevision <= this.#heardRevision) return;
    this.#heardRevision = revision.configRevision;
    this.#wanted = revision;
    if (this.#report.state === "ready") void this.#applyWanted();
  }

  /** One after the other; of several that came meanwhile only the newest. */
  async #applyWanted(): Promise<void> {
    if (this.#isConfiguring) return;
    this.#isConfiguring = true;
    while (this.#wanted !== undefined && this.#report.state === "ready") {
      const { configRevision, config } = this.#wanted;
      this.#wanted = undefined;
      this.#config = config;
      this.#server!.setMaxConcurrentQueries(config.maxConcurrentQueries);
      this.#ports.host.setBatchOverrides(config);
      const error = await this.#applyToCode(config);
      // A failed revision is not acknowledged; the fields that need no user code hold all the same.
      if (error === undefined) this.#tell({ configRevision, error: undefined });
      else {
        this.#ports.log.error("reconfigure-failed", { configRevision, error });
        const { code, message, details } = bodyOf(error);
        // Of which revision it speaks, so that it is not taken for a word on the next one.
        this.#tell({ error: { code, message, details: { ...details, configRevision } } });
      }
    }
    this.#isConfiguring = false;
  }

  async #applyToCode(config: BackendConfig): Promise<ServeError | undefined> {
    const { userConfig, startTimeoutMs } = config;
    const { backend } = this.#spec;
    // The controller took it before it could know what the code, which was still starting, declares.
    const problems = offerProblems(config, this.#target!.offers);
    if (problems.length > 0) return new ServeError("config-invalid", `backend "${backend}": ${problems.join(" ")}`);
    const text = textOf(userConfig);
    if (text === this.#userConfig) return undefined;
    try {
      await within(this.#ports.clock, startTimeoutMs, {
        promise: reconfigure(this.#target!, backend, userConfig),
        late: () =>
          new ServeError(
            "reconfigure-failed",
            `backend "${backend}": reconfigure() took longer than ${startTimeoutMs} ms.`,
          ),
      });
    } catch (error) {
      return isServeError(error) ? error : new ServeError("reconfigure-failed", messageOf(error), { cause: error });
    }
    this.#userConfig = text;
    return undefined;
  }

  // ── end
  #refused(reason: string): void {
    this.#ports.log.warn("replica-not-wanted", { reason });
    void this.drain();
  }

  async #drainOnce(timeoutMs: number, status: 0 | 1): Promise<void> {
    const { clock, log } = this.#ports;
    const endsAt = clock.now() + timeoutMs;
    log.info("replica-draining", { timeoutMs, openQueries: this.#server?.openQueries ?? 0 });
    this.#tell({ state: "draining" });
    this.#health?.stop();
    if (this.#server !== undefined) {
      this.#ports.host.flushBatches();
      const late = () =>
        new ServeError("deadline-exceeded", "queries were still open when the time of the drain was over.");
      const served = Promise.all([this.#server.drain(), this.#pause(this.#config.gracefulShutdownWaitLoopMs)]);
      await within(clock, Math.max(0, timeoutMs - CLOSE_RESERVE_MS), { promise: served, late }).catch(
        (error: unknown) =>
          log.warn("drain-incomplete", { openQueries: this.#server?.openQueries, error: messageOf(error) }),
      );
    }
    await this.#close(Math.max(0, endsAt - clock.now()));
    await this.stop();
    log.info("replica-ended", { status });
    this.#options.exit(status);
  }

  async #close(timeoutMs: number): Promise<void> {
    const close = this.#target?.life.close;
    if (close === undefined) return;
    const late = () => new ServeError("deadline-exceeded", "close() did not end in the time that was left.");
    const closing = Promise.resolve().then(close);
    await within(this.#ports.clock, timeoutMs, { promise: closing, late }).catch((error: unknown) =>
      this.#ports.log.error("close-failed", { error }),
    );
  }

  #end(status: number): void {
    if (this.#isOver) return;
    void this.stop();
    this.#options.exit(status);
  }

  // ── link
  #tell(change: Partial<ActorReport>): void {
    this.#report = { ...this.#report, ...change };
    this.#ports.link.report(this.#report);
  }

  #linked(): void {
    this.#isLinked = true;
    this.#onLinked?.();
  }

  async #untilLinked(): Promise<void> {
    if (this.#isLinked) return;
    await new Promise<void>((resolve) => {
      this.#onLinked = resolve;
      this.#ports.clock.after(FAILED_START_REPORT_MS, resolve);
    });
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => void this.#ports.clock.after(milliseconds, resolve));
  }
}

const startTimeout = ({ backend }: ReplicaSpec, startTimeoutMs: number): ServeError =>
  new ServeError(
    "start-timeout",
    `backend "${backend}": it was not ready within ${startTimeoutMs} ms of import, constructor, start() and reconfigure(). Raise startTimeoutMs, or look for what never ends.`,
  );

const bodyOf = (error: ServeError): ErrorBody => {
  const { code, message, details } = toErrorBody(error);
  return { code, message, details };
};

/** JSON comes with its keys in the order in which it was written: another order is at worst one more reconfigure. */
const textOf = (userConfig: unknown): string | undefined =>
  userConfig === undefined ? undefined : JSON.stringify(userConfig);
