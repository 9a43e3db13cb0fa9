/** ports/actor-ledger.ts and ports/instance-folders.ts on a simulated disk, for one agent process. */
import type { ServeError } from "../../base/serve-error.ts";
import type { ActorName } from "../../model/ids.ts";
import type { SavedLaunch } from "../../model/launch.ts";
import type { SavedTotals } from "../../model/metrics.ts";
import { type ActorFile, type ControllerFile, type InstanceFile, runFiles, stateFiles } from "../../model/places.ts";
import type { ActorLedger } from "../../ports/actor-ledger.ts";
import type { InstanceFolders } from "../../ports/instance-folders.ts";
import { act } from "../kernel/act.ts";
import type { Effects } from "../kernel/effects.ts";
import type { SimProcess } from "../kernel/sim-process.ts";
import type { Disk } from "./disk.ts";

export interface FilesOf {
  readonly disk: Disk;
  readonly process: SimProcess;
  readonly effects: Effects;
  readonly stateDir: string;
  readonly runDir: string;
  /** Where the store is no file of this node it is always there. */
  readonly storeElsewhere: () => boolean;
  /** The store's file is gone, where it is a file of this node. */
  readonly onStateRemoved: () => void;
}

export const openLedger = (of: FilesOf): ActorLedger => {
  const { disk, stateDir } = of;
  const files = stateFiles(stateDir);
  const write = (what: string, path: string, value: unknown, how: "durably" | "quickly") =>
    void act(of, what, () => disk.write(path, value, how));
  const countOn = (what: string, path: string): number => {
    const next = 1 + (disk.read<number>(path) ?? 0);
    write(what, path, next, "durably");
    return next;
  };
  return {
    load: () => ({ actors: disk.paths(files.actors).map((path) => disk.read<ActorFile>(path)!), unreadable: [] }),
    pathOf: (actor) => files.actor(actor),
    save: (file) => write("save of an actor's file", files.actor(file.assignment.actor), file, "durably"),
    note: (file) => write("note in an actor's file", files.actor(file.assignment.actor), file, "quickly"),
    delete: (actor: ActorName) => void act(of, "deletion of an actor's file", () => disk.delete(files.actor(actor))),
    loadController: () => disk.read<ControllerFile>(files.controller),
    saveController: (file) => write("save of the controller's file", files.controller, file, "quickly"),
    nextNodeIncarnation: () => countOn("save of the node's incarnation", files.nodeIncarnation),
    nextAgentIncarnation: () => countOn("save of the agent's incarnation", files.agentIncarnation),
    chosenPort: (host) => disk.read<Record<string, number>>(files.ports)?.[host],
    saveChosenPort: (host, port) =>
      write(
        "save of a port",
        files.ports,
        { ...disk.read<Record<string, number>>(files.ports), [host]: port },
        "durably",
      ),
  };
};

export const openFolders = (of: FilesOf): InstanceFolders => {
  const { disk, stateDir, runDir } = of;
  const state = stateFiles(stateDir);
  const run = runFiles(runDir);
  return {
    instanceFile: () => disk.read<InstanceFile>(run.instance),
    writeInstanceFile: (file) => void act(of, "instance file", () => disk.write(run.instance, file, "quickly")),
    savedLaunch: () => disk.read<SavedLaunch>(state.launch),
    writeLaunch: (saved) => void act(of, "launch file", () => disk.write(state.launch, saved, "durably")),
    hasStore: () => of.storeElsewhere() || disk.has(state.store),
    hasTombstone: () => disk.has(state.tombstone),
    writeTombstone: () => void act(of, "tombstone", () => disk.write(state.tombstone, true, "durably")),
    takeStartFailure: (pid) => {
      const path = run.startFailure(pid);
      const failure = disk.read<ServeError>(path);
      disk.delete(path);
      return failure;
    },
    forgetRescues: () => {},
    trimLogs: () => {},
    trimSockets: () => {},
    saveMetrics: (totals) => void act(of, "metrics file", () => disk.write(run.metrics, totals, "quickly")),
    savedMetrics: () => disk.read<SavedTotals>(run.metrics),
    touchRun: () => {},
    clearRun: () => void act(of, "end of the run folder", () => disk.deleteFolder(runDir)),
    removeState: () =>
      void act(of, "end of the state folder", () => {
        disk.deleteFolder(stateDir);
        of.onStateRemoved();
      }),
  };
};
