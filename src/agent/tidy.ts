/** What the agent clears away from time to time beside what ends in order: log files that have grown, sockets that a killed process left. */
import { runFiles } from "../model/places.ts";
import type { InstanceFolders } from "../ports/instance-folders.ts";
import type { ActorSupervisor } from "./actor-supervisor.ts";
import type { ControllerKeeper } from "./controller-keeper.ts";

export interface TidyParts {
  readonly folders: InstanceFolders;
  readonly supervisor: ActorSupervisor;
  readonly keeper: ControllerKeeper;
}

export function tidy({ folders, supervisor, keeper }: TidyParts, runDir: string): void {
  const actors = supervisor.actors();
  folders.trimLogs(["agent", "controller", "probe", ...actors]);
  const { actorSocket, controllerSocket } = runFiles(runDir);
  const wires = actors.map((actor) => actorSocket(actor, supervisor.incarnationOf(actor)));
  folders.trimSockets([...wires, controllerSocket(keeper.incarnation())]);
}
