/**
 * The roles of a replica and of a proxy, run in this process: the same code as in processes of their own, with connections in memory and
 * nobody who watches. What they are ordered is written here as a controller would write it.
 */
import { createNodeHttpEdge } from "../../adapters/node-http-edge.ts";
import { type CallerFactory, type LocalAppScope, sharedProcess } from "../../api/api.ts";
import { ServeError } from "../../base/serve-error.ts";
import type { Meters } from "../../core/metrics/meters.ts";
import type { ActorSpec } from "../../model/actor.ts";
import type { BackendConfig } from "../../model/backend-config.ts";
import { type ActorName, actorName, type NodeName } from "../../model/ids.ts";
import type { ActorReport } from "../../model/link-messages.ts";
import type { ReplicaEntry } from "../../model/longpoll.ts";
import type { ActorFile } from "../../model/places.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Log } from "../../ports/log.ts";
import type { CodeLoader } from "../../ports/module-loader.ts";
import type { Random } from "../../ports/random.ts";
import type { Transport } from "../../ports/transport.ts";
import { ProxyRole } from "../../proxy/proxy.ts";
import { Replica } from "../../replica/replica.ts";
import type { Router } from "../../router/router.ts";
import type { LocalBackendPlan } from "./local-plan.ts";
import { unwatchedLink } from "./unwatched-link.ts";

export interface LocalPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly transport: Transport;
  readonly meters: Meters;
}

export interface LocalReplicaPorts extends LocalPorts {
  readonly loader: CodeLoader;
  readonly callers: CallerFactory;
  readonly scope: LocalAppScope;
}

export interface LocalIdentity {
  readonly instanceId: string;
  readonly ordinal: number;
}

export interface LocalReplica {
  readonly entry: ReplicaEntry;
  /** Finishes what it runs, calls the code's `close()`. */
  close(): Promise<void>;
}

/** Resolves when it serves; rejects with why it does not. */
export async function startLocalReplica(
  ports: LocalReplicaPorts,
  plan: LocalBackendPlan,
  { instanceId, ordinal }: LocalIdentity,
): Promise<LocalReplica> {
  const actor = actorName(plan.tag, ordinal);
  // Nobody comes late: routers of the same process are closed first.
  const config: BackendConfig = { ...plan.config, gracefulShutdownWaitLoopMs: 0 };
  const file = fileOf(actor, instanceId, {
    kind: "replica",
    backend: plan.tag,
    code: plan.code,
    identity: undefined,
    config,
  });
  let report: ActorReport | undefined;
  const link = unwatchedLink((told) => {
    report = told;
  });
  const host = sharedProcess(ports.scope);
  const replica = new Replica({ ...ports, link, host }, { file, exit: () => {} });
  await ports.scope.run(() => replica.start());
  const { state, address, error } = report as unknown as ActorReport;
  if (state !== "ready" || address === undefined) {
    throw error === undefined
      ? new ServeError("start-failed", `backend "${plan.tag}": it did not start.`)
      : new ServeError(error.code, error.message, { details: error.details });
  }
  return {
    entry: { replica: actor, incarnation: file.incarnation, address },
    close: () => ports.scope.run(() => replica.drain()),
  };
}

export interface LocalProxy {
  readonly port: number;
  stop(): void;
}

/** @throws ServeError `port-in-use` */
export async function startLocalProxy(
  ports: LocalPorts & { readonly router: Router },
  at: { readonly instanceId: string; readonly host: string; readonly port: number },
): Promise<LocalProxy> {
  const { instanceId, host, port } = at;
  let report: ActorReport | undefined;
  const link = unwatchedLink((told) => {
    report = told;
  });
  const snapshots = { load: () => undefined, save: () => {} };
  const role = new ProxyRole(
    { ...ports, link, edge: createNodeHttpEdge({ port: "own" }), snapshots },
    {
      file: fileOf(actorName("proxy", 1), instanceId, { kind: "proxy", host, port }),
      listenFd: undefined,
      linkEvents: {},
      exit: () => {},
    },
  );
  await role.start();
  if (role.port === undefined) {
    const error = (report as unknown as ActorReport).error;
    throw new ServeError(error?.code ?? "internal", error?.message ?? "the app's HTTP server did not start.");
  }
  return { port: role.port, stop: () => role.stop() };
}

const fileOf = (actor: ActorName, instanceId: string, spec: ActorSpec): ActorFile => ({
  instanceId,
  instance: "local",
  // No role looks into these; the second begins the names of its addresses.
  stateDir: "local",
  runDir: "local",
  assignment: { actor, node: "local" as NodeName, spec, rollout: 1, configRevision: 1, intent: { kind: "run" } },
  incarnation: 1,
  process: undefined,
  failedStarts: 0,
  startedAt: 0,
});
