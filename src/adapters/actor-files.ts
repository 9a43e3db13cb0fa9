/**
 * ports/actor-ledger.ts: one small JSON file per actor in `<state>/actors`, and the agent's own counters beside them. Mode 0600: an
 * actor's file holds its environment.
 */
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { messageOf, ServeError } from "../base/serve-error.ts";
import type { ActorName } from "../model/ids.ts";
import { type ActorFile, type ControllerFile, stateFiles } from "../model/places.ts";
import type { ActorLedger } from "../ports/actor-ledger.ts";
import { readJson, readWhole, removeFile, writeWhole } from "./whole-files.ts";

/** Creates the folder when it is not there. Throws `state-unwritable`. */
export function openActorLedger(stateDir: string): ActorLedger {
  const files = stateFiles(stateDir);
  try {
    mkdirSync(files.actors, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new ServeError("state-unwritable", `${files.actors} cannot be created: ${messageOf(cause)}.`, { cause });
  }
  return {
    load: () => loadActors(files.actors),
    pathOf: (actor) => files.actor(actor),
    save: (file) => writeActor(files.actor(file.assignment.actor), file, "durably"),
    note: (file) => writeActor(files.actor(file.assignment.actor), file, "quickly"),
    delete: (actor: ActorName) => removeFile(files.actor(actor)),

    loadController: () => readJson<ControllerFile>(files.controller),
    // After a power cut no old controller is left that a repeated number could be taken for: its epoch tells them apart.
    saveController: (file) => writeWhole(files.controller, JSON.stringify(file), "quickly"),

    nextNodeIncarnation: () => countOn(files.nodeIncarnation),
    nextAgentIncarnation: () => countOn(files.agentIncarnation),

    chosenPort: (host) => readJson<Record<string, number>>(files.ports)?.[host],
    saveChosenPort: (host, port) => {
      const ports = { ...readJson<Record<string, number>>(files.ports), [host]: port };
      writeWhole(files.ports, JSON.stringify(ports), "durably");
    },
  };
}

const writeActor = (path: string, file: ActorFile, how: "durably" | "quickly"): void =>
  writeWhole(path, JSON.stringify(file), how);

function loadActors(folder: string): ReturnType<ActorLedger["load"]> {
  const actors: ActorFile[] = [];
  const unreadable: string[] = [];
  for (const name of readdirSync(folder).filter((entry) => entry.endsWith(".json"))) {
    const path = join(folder, name);
    const file = readJson<ActorFile>(path);
    if (isActorFile(file)) actors.push(file);
    else unreadable.push(path);
  }
  return { actors, unreadable };
}

const isActorFile = (file: ActorFile | undefined): file is ActorFile =>
  typeof file?.assignment?.actor === "string" && typeof file.incarnation === "number";

const countOn = (path: string): number => {
  const next = 1 + (readWhole(path, parseCount) ?? 0);
  writeWhole(path, `${next}\n`, "durably");
  return next;
};

const parseCount = (text: string): number => {
  const count = Number.parseInt(text, 10);
  if (!Number.isSafeInteger(count) || count < 0) throw new Error("not a count");
  return count;
};
