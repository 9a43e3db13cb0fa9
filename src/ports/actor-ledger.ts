/**
 * The agent's local truth on its own disk: what it started and means to keep alive, readable without the store.
 * Writes are atomic. `save` is durable when it returns; `note` survives the agent, not a power cut. Both throw `state-unwritable`.
 */
import type { ActorName } from "../model/ids.ts";
import type { ActorFile, ControllerFile } from "../model/places.ts";

export interface ActorLedger {
  /** `unreadable`: files that are not what they should be; left alone. */
  load(): { readonly actors: readonly ActorFile[]; readonly unreadable: readonly string[] };
  /** What the actor's process is started with. */
  pathOf(actor: ActorName): string;
  save(file: ActorFile): void;
  note(file: ActorFile): void;
  delete(actor: ActorName): void;

  loadController(): ControllerFile | undefined;
  saveController(file: ControllerFile): void;

  /** 1, 2, 3 …: durable, never given twice. */
  nextNodeIncarnation(): number;
  /** The same for agents. */
  nextAgentIncarnation(): number;

  /** Which port stands for port 0 of this host. */
  chosenPort(host: string): number | undefined;
  saveChosenPort(host: string, port: number): void;
}
