/** The agent's process in a simulated world: the real Agent on the ports of its node. What main/run-agent.ts does. */
import { Agent } from "../../agent/agent.ts";
import { ServeError } from "../../base/serve-error.ts";
import { Meters } from "../../core/metrics/meters.ts";
import type { InstanceName } from "../../model/ids.ts";
import { keysOf } from "../../model/keys.ts";
import type { AgentLaunch } from "../../model/launch.ts";
import { stateFiles } from "../../model/places.ts";
import type { SimProcess } from "../kernel/sim-process.ts";
import { openFolders, openLedger } from "../node/agent-files.ts";
import { simKeptCode, simProbes } from "../node/sim-code.ts";
import { ENTRIES, type SimNode } from "../node/sim-node.ts";
import type { World } from "../world.ts";

const NO_USAGE = { cpuMs: 0, residentBytes: 0, heapBytes: 0, loopBusyMs: 0 };

export const runAgent = (world: World, node: SimNode, process: SimProcess, launch: AgentLaunch): void => {
  const { stateDir, runDir, disk } = node;
  const { effects, random } = world;
  const files = {
    ...{ disk, process, effects, stateDir, runDir },
    storeElsewhere: () => world.isCluster,
    onStateRemoved: () => {
      if (!world.isCluster) world.store.txn({ compare: [], then: [{ kind: "deletePrefix", prefix: "" }] }, undefined);
    },
  };
  const meters = new Meters();
  const agent = new Agent(
    {
      clock: process.clock,
      random: random.fork(process.facts.name),
      log: world.logOf(process),
      processes: node.hostFor(process),
      ledger: openLedger(files),
      folders: openFolders(files),
      lock: { isOurs: () => true, removeAndRelease: () => {} },
      links: node.switchboard.serverFor(process),
      sockets: node.listenSockets(),
      entries: ENTRIES,
      meters,
      snapshot: () => ({ life: "1", startedAt: 0, usage: NO_USAGE, samples: meters.samples() }),
      metricsServer: { listen: () => Promise.reject(new ServeError("port-in-use", "nobody scrapes a simulation")) },
      probes: simProbes({ ...files, random: random.fork(`code of ${process.facts.name}`) }),
      keptCode: simKeptCode(files),
      openStore: async () => {
        disk.write(stateFiles(stateDir).store, true, "durably");
        return world.storeFor(process);
      },
    },
    {
      launch,
      start: { execPath: "node", entry: "agent", cwd: "/", env: {} },
      keys: keysOf(launch.instance as InstanceName),
      version: "sim",
      host: { hostname: node.name, cpus: 4, memoryBytes: 8e9 },
    },
  );
  process.onTerm = () => agent.requestEnd();
  agent.run().then(
    (end) => {
      world.agentEnded(node, end);
      process.end({ code: end.kind === "ended" ? 0 : 1, signal: undefined });
    },
    (error: unknown) => {
      world.violate(
        "agent",
        `the agent of ${node.name} threw: ${error instanceof Error ? error.stack : String(error)}`,
      );
      process.end({ code: 1, signal: undefined });
    },
  );
};
