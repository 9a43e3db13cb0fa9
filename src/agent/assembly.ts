/** Puts the parts of an agent together: what each needs of the others, and nothing else. */
import type { Meters } from "../core/metrics/meters.ts";
import { agentName, controllerName, type InstanceId, type NodeName } from "../model/ids.ts";
import type { Keys } from "../model/keys.ts";
import type { AgentLaunch, SavedLaunch } from "../model/launch.ts";
import type { Leader } from "../model/link-messages.ts";
import type { MetricsSnapshot } from "../model/metrics.ts";
import { stateFiles } from "../model/places.ts";
import type { ActorLedger } from "../ports/actor-ledger.ts";
import type { Clock } from "../ports/clock.ts";
import type { ProbeProcesses } from "../ports/code-probe.ts";
import type { Entries } from "../ports/entries.ts";
import type { InstanceFolders } from "../ports/instance-folders.ts";
import type { KeptCodeFiles } from "../ports/kept-code.ts";
import type { LinkServer } from "../ports/link-server.ts";
import type { ListenSockets } from "../ports/listen-sockets.ts";
import type { Log } from "../ports/log.ts";
import type { MetricsServer } from "../ports/metrics-server.ts";
import type { NodeLock } from "../ports/node-lock.ts";
import type { ProcessHost } from "../ports/processes.ts";
import type { Random } from "../ports/random.ts";
import type { Store } from "../ports/store.ts";
import { ActorMeters } from "./actor-meters.ts";
import { ActorStarter } from "./actor-starter.ts";
import { ActorSupervisor } from "./actor-supervisor.ts";
import { CodeKeeper } from "./code-keeper.ts";
import { type ControllerDeaths, ControllerKeeper } from "./controller-keeper.ts";
import { LinkDesk } from "./link-desk.ts";
import { ListenerTable } from "./listener-table.ts";
import { MetricsDesk, type MetricsDeskParts } from "./metrics-desk.ts";
import { ProbeDesk } from "./probe-desk.ts";
import { type SessionEvents, StoreSession } from "./store-session.ts";
import { SupervisionClock } from "./supervision-clock.ts";

export interface AgentPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly processes: ProcessHost;
  readonly ledger: ActorLedger;
  readonly folders: InstanceFolders;
  readonly lock: NodeLock;
  readonly links: LinkServer;
  readonly sockets: ListenSockets;
  readonly entries: Entries;
  /** What this process counts. */
  readonly meters: Meters;
  readonly snapshot: () => MetricsSnapshot;
  readonly metricsServer: MetricsServer;
  readonly probes: ProbeProcesses;
  readonly keptCode: KeptCodeFiles;
  /** Rejects with `state-unwritable`, `schema-newer`, `store-unavailable`. `onCommit`: this store has committed something. */
  readonly openStore: (onCommit: () => void) => Promise<Store>;
}

export interface AgentSettings {
  readonly launch: AgentLaunch;
  /** How this process was started: saved for whoever must start the next. */
  readonly start: Pick<SavedLaunch, "execPath" | "entry" | "cwd" | "env">;
  readonly keys: Keys;
  /** Of maitred. */
  readonly version: string;
  readonly host: { readonly hostname: string; readonly cpus: number; readonly memoryBytes: number };
}

/** What is known only when the agent starts, and whom to tell what. */
export interface Wiring {
  readonly instanceId: string;
  readonly isNewInstance: boolean;
  /** Where this node answers scrapes, once it does; undefined: nowhere. */
  readonly metricsUrl: () => string | undefined;
  readonly openStore: () => Promise<Store>;
  readonly onPhase: SessionEvents["onPhase"];
  readonly onForeignLeader: (leader: Leader | undefined) => void;
  readonly onLead: (leader: Leader) => void;
  readonly mayStartController: () => boolean;
  readonly onControllerDeath: (deaths: ControllerDeaths) => void;
}

export interface NodeParts {
  readonly supervision: SupervisionClock;
  readonly listeners: ListenerTable;
  readonly supervisor: ActorSupervisor;
  readonly keeper: ControllerKeeper;
  readonly session: StoreSession;
  readonly desk: LinkDesk;
  readonly metrics: MetricsDesk | undefined;
  readonly codeKeeper: CodeKeeper;
}

export function assemble(ports: AgentPorts, settings: AgentSettings, wiring: Wiring): NodeParts {
  const { clock, ledger, log, sockets } = ports;
  const instanceId = wiring.instanceId as InstanceId;
  const supervision = new SupervisionClock(clock);
  const common = { ...ports, supervision, actorMeters: new ActorMeters(ports.meters) };

  const listeners: ListenerTable = new ListenerTable({
    sockets,
    ledger,
    log,
    isHeldByOurs: (at) => supervisor.hasProxyAt(at),
  });
  const starter = new ActorStarter({ ...ports, listeners }, starterSettings(settings, instanceId));
  const supervisor = new ActorSupervisor({ ...common, starter, onChange: (actor) => session.changed(actor) });
  const keeper = new ControllerKeeper(common, keeperSettings(ports, settings, wiring), {
    mayStart: wiring.mayStartController,
    onDeath: wiring.onControllerDeath,
  });
  const session: StoreSession = new StoreSession(
    { ...ports, supervisor, openStore: wiring.openStore, livingController: () => keeper.pid() },
    { keys: settings.keys, instanceId, node: nodeRecord(ports, settings, wiring) },
    { onPhase: wiring.onPhase, onForeignLeader: wiring.onForeignLeader },
  );
  const onCommitted = () => session.nudge();
  const metrics =
    settings.launch.metrics === undefined
      ? undefined
      : new MetricsDesk(metricsParts(ports, settings, { supervisor, keeper }));
  const codeKeeper = new CodeKeeper({
    ...{ clock, log, files: ports.keptCode },
    ofActors: () =>
      ledger.load().actors.map(({ assignment: { spec } }) => (spec.kind === "replica" ? spec.identity : undefined)),
    ofStore: () => session.codeIdentities(),
  });
  const probes = new ProbeDesk(ports.probes, (code) => codeKeeper.found(code));
  const desk = new LinkDesk({
    ...{ instanceId, supervisor, keeper, probes, log, clock, metrics, onCommitted },
    node: settings.launch.node,
    onLead: wiring.onLead,
  });
  return { supervision, listeners, supervisor, keeper, session, desk, metrics, codeKeeper };
}

const metricsParts = (
  ports: AgentPorts,
  { launch, version }: AgentSettings,
  { supervisor, keeper }: Pick<NodeParts, "supervisor" | "keeper">,
): MetricsDeskParts => {
  const { instance, node } = launch;
  const writer = { node: node as NodeName, nodeIncarnation: 0 };
  const rows = () => supervisor.actors().flatMap((actor) => supervisor.rowOf(actor, writer) ?? []);
  ports.meters.gauges((write) => {
    for (const { kind, state } of rows()) write("maitred_actors", { kind, state }, 1);
  });
  return {
    ...ports,
    own: ports.snapshot,
    ownName: agentName(node),
    processes: () => {
      const living = rows().filter(({ pid }) => pid !== undefined);
      const actors = living.map(({ actor, kind, incarnation }) => ({ name: actor, kind, incarnation }));
      const controller = { name: controllerName(node), kind: "controller", incarnation: keeper.incarnation() } as const;
      return keeper.pid() === undefined ? actors : [...actors, controller];
    },
    info: { instance, node, version },
  };
};

const starterSettings = ({ launch, start }: AgentSettings, instanceId: InstanceId) => ({
  instanceId,
  instance: launch.instance,
  stateDir: launch.stateDir,
  runDir: launch.runDir,
  cwd: start.cwd,
  execArgv: launch.execArgv,
  output: launch.output,
});

const keeperSettings = ({ entries }: AgentPorts, { launch, start }: AgentSettings, wiring: Wiring) => {
  const { instance, node, stateDir, runDir, http, resume, api } = launch;
  return {
    entry: entries.controller,
    execArgv: launch.execArgv,
    cwd: start.cwd,
    output:
      launch.output === "inherit"
        ? ({ kind: "inherit" } as const)
        : ({ kind: "file", path: stateFiles(stateDir).log("controller") } as const),
    launch: { instance, instanceId: wiring.instanceId, node, stateDir, runDir, http, resume, ...(api && { api }) },
    isNewInstance: wiring.isNewInstance,
  };
};

const nodeRecord = ({ clock, processes }: AgentPorts, { launch, host }: AgentSettings, { metricsUrl }: Wiring) => ({
  /** Read when the node is registered. */
  get metricsUrl() {
    return metricsUrl();
  },
  node: launch.node as NodeName,
  pid: processes.self.pid,
  ...host,
  labels: launch.labels ?? {},
  startedAt: clock.timestamp(),
});
