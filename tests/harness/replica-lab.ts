/**
 * A replica role in this process, with real sockets and a link in memory: what it reports can be read, what an agent says can be said.
 * The user's module is given as an object.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSocketTransport } from "../../src/adapters/socket-transport.ts";
import { createSystemClock } from "../../src/adapters/system-clock.ts";
import { type CallerFactory, ownProcess } from "../../src/api/api.ts";
import { Meters } from "../../src/core/metrics/meters.ts";
import type { Address } from "../../src/model/actor.ts";
import { type BackendConfigInput, resolveBackendConfig } from "../../src/model/backend-config.ts";
import type { CodeRef } from "../../src/model/code-ref.ts";
import { type ActorName, actorName, type BackendTag, type NodeName } from "../../src/model/ids.ts";
import type { ActorReport, LinkEvents } from "../../src/model/link-messages.ts";
import { type ActorFile, runFiles } from "../../src/model/places.ts";
import { type Hello, WIRE_PROTOCOL } from "../../src/model/wire.ts";
import type { AgentLink } from "../../src/ports/agent-link.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Log, LogFields } from "../../src/ports/log.ts";
import type { Transport } from "../../src/ports/transport.ts";
import { Replica } from "../../src/replica/replica.ts";
import { waitFor } from "./wait-for.ts";
import { WireClient } from "./wire-client.ts";

export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly fields: LogFields;
}

export class MemoryLink implements AgentLink {
  readonly reports: ActorReport[] = [];
  events: LinkEvents = {};

  start(events: LinkEvents): void {
    this.events = events;
    setImmediate(() => events.onUp?.());
  }
  get last(): ActorReport | undefined {
    return this.reports.at(-1);
  }
  leader(): undefined {}
  report(report: ActorReport): void {
    this.reports.push(report);
  }
  leading(): void {}
  committed(): void {}
  stop(): void {}
}

export const memoryLog = (lines: LogLine[] = []): Log & { readonly lines: readonly LogLine[] } => {
  const at =
    (level: string) =>
    (event: string, fields: LogFields = {}): void =>
      void lines.push({ level, event, fields });
  return {
    lines,
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => memoryLog(lines),
  };
};

export interface ReplicaWish {
  /** What the module exports; or the loading itself. */
  readonly exports: Readonly<Record<string, unknown>> | (() => Promise<Readonly<Record<string, unknown>>>);
  /** Default: `default` of a module `/srv/app.ts`. */
  readonly code?: Partial<Extract<CodeRef, { kind: "export" }>> | Extract<CodeRef, { kind: "app" }>;
  readonly config?: BackendConfigInput;
  readonly callers?: CallerFactory;
  readonly transport?: Transport;
  readonly clock?: Clock;
}

export const MODULE = "file:///srv/app.ts";

export class ReplicaLab {
  readonly #folder = mkdtempSync(join(tmpdir(), "maitred-replica-"));
  readonly #started: StartedReplica[] = [];
  #ordinal = 0;

  /** Resolves when the role's `start` does: it is ready, or over. */
  async start(wish: ReplicaWish): Promise<StartedReplica> {
    this.#ordinal += 1;
    const started = new StartedReplica(this.#fileFor(wish), wish);
    this.#started.push(started);
    await started.replica.start();
    return started;
  }

  /** The one whose start may still be under way. */
  latest(): StartedReplica {
    return this.#started.at(-1)!;
  }

  async close(): Promise<void> {
    for (const { clients, replica } of this.#started.splice(0)) {
      for (const client of clients) client.close();
      await replica.stop();
    }
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #fileFor({ code, config = {} }: ReplicaWish): ActorFile {
    const backend = "b:v1" as BackendTag;
    return {
      instanceId: "i-1",
      instance: "test",
      stateDir: this.#folder,
      runDir: this.#folder,
      assignment: {
        actor: actorName(backend, this.#ordinal),
        node: "n" as NodeName,
        spec: {
          kind: "replica",
          backend,
          code: code?.kind === "app" ? code : { kind: "export", module: MODULE, export: "default", args: [], ...code },
          identity: undefined,
          config: resolveBackendConfig({ gracefulShutdownWaitLoopMs: 0, ...config }),
        },
        rollout: 1,
        configRevision: 1,
        intent: { kind: "run" },
      },
      incarnation: 1,
      process: undefined,
      failedStarts: 0,
      startedAt: 0,
    };
  }
}

export class StartedReplica {
  readonly file: ActorFile;
  readonly link = new MemoryLink();
  readonly log = memoryLog();
  readonly meters = new Meters();
  readonly exited: Promise<number>;
  readonly replica: Replica;
  readonly clients: WireClient[] = [];
  readonly hello: Hello;
  readonly address: Address;

  constructor(file: ActorFile, wish: ReplicaWish) {
    const { exports, callers, transport, clock } = wish;
    const exit = Promise.withResolvers<number>();
    const { actor } = file.assignment;
    this.file = file;
    this.exited = exit.promise;
    this.address = `unix:${runFiles(file.runDir).actorSocket(actor, file.incarnation)}`;
    this.hello = this.helloOf("test", actor);
    this.replica = new Replica(
      {
        clock: clock ?? createSystemClock(),
        log: this.log,
        link: this.link,
        transport: transport ?? createSocketTransport(),
        loader: {
          load: async () => (typeof exports === "function" ? exports() : exports),
          digest: async () => undefined,
        },
        callers: callers ?? noCallers,
        host: ownProcess,
        meters: this.meters,
      },
      { file, exit: exit.resolve },
    );
  }

  helloOf(peer: string, replica: ActorName): Hello {
    return { protocol: WIRE_PROTOCOL, instanceId: this.file.instanceId, replica, incarnation: 1, peer };
  }

  async connect(): Promise<WireClient> {
    const client = this.connectAs(this.hello);
    await client.greeted;
    return client;
  }

  connectAs(hello: Hello | undefined): WireClient {
    const client = new WireClient(this.address, hello);
    this.clients.push(client);
    return client;
  }

  async reported(what: string, test: (report: ActorReport) => boolean): Promise<ActorReport> {
    await waitFor(what, () => this.link.last !== undefined && test(this.link.last), 5_000);
    return this.link.last!;
  }
}

const noCallers: CallerFactory = () => {
  throw new Error("this test uses no handles");
};
