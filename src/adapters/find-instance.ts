/**
 * Finds the instances that live on this machine and belong to this user, and the one that a command means: by the folder of its state
 * (a flag, MAITRED_STATE_DIR), by its name (a flag, MAITRED_INSTANCE), or because there is no other. Where more than one fits, the
 * error lists them; none is ever picked.
 */
import { readdirSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { isServeError, ServeError } from "../base/serve-error.ts";
import type { SavedLaunch } from "../model/launch.ts";
import { type ActorFile, type ControllerFile, type InstanceFile, runFiles, stateFiles } from "../model/places.ts";
import { isLockHeld } from "./kernel-lock.ts";
import {
  defaultStateDir,
  type Env,
  givenStateDir,
  holdsState,
  type Places,
  runDirOf,
  runRoot,
  stateRoot,
} from "./places.ts";
import { processHost } from "./processes.ts";
import { readJson } from "./whole-files.ts";

export interface LivingInstance extends Places {
  readonly file: InstanceFile;
}

const RUN_ID = /^[0-9a-f]{12}$/;

/** Every instance that lives on this machine and belongs to this user, by name. */
export function listInstances(env: Env): readonly LivingInstance[] {
  const root = runRoot(env);
  return entriesOf(root)
    .filter((name) => RUN_ID.test(name))
    .map((name) => livingInstanceIn(join(root, name)))
    .filter((found) => found !== undefined)
    .sort((a, b) => (a.file.name < b.file.name ? -1 : 1));
}

export interface InstanceChoice {
  /** Flags; they go before the environment. */
  readonly instance?: string | undefined;
  readonly stateDir?: string | undefined;
  readonly env: Env;
}

/** The instance that a command means. Throws `instance-unknown`, `instance-ambiguous`. */
export function chooseInstance(choice: InstanceChoice): LivingInstance {
  const { instance, stateDir, env } = choice;
  const name = instance || env["MAITRED_INSTANCE"] || undefined;
  const given = givenStateDir(stateDir, env);
  const living =
    given === undefined ? listInstances(env) : [livingInstanceOf(given, env)].filter((found) => found !== undefined);
  const fitting = name === undefined ? living : living.filter((found) => found.file.name === name);
  const [only, ...others] = fitting;
  if (only === undefined) throw unknown({ name, given, living, stopped: stoppedInstanceOf(choice) });
  if (others.length > 0) throw ambiguous(fitting);
  return only;
}

/** The state folder of the instance that a command means, also when it is stopped. Throws as `chooseInstance`. */
export function findStateDir(choice: InstanceChoice): string {
  try {
    return chooseInstance(choice).stateDir;
  } catch (error) {
    const kept =
      isServeError(error) && error.code === "instance-unknown" ? stoppedInstanceOf(choice)?.stateDir : undefined;
    if (kept === undefined) throw error;
    return kept;
  }
}

/** The instance that is meant and does not run. Where what it was started with cannot be read, its folder must look like one of ours. */
export function stoppedInstanceOf({ instance, stateDir, env }: InstanceChoice): StoppedInstance | undefined {
  const name = instance || env["MAITRED_INSTANCE"] || undefined;
  const given = givenStateDir(stateDir, env);
  const folder = given ?? (name === undefined ? undefined : defaultStateDir(name, env));
  if (folder === undefined || !holdsState(folder)) return undefined;
  const saved = savedLaunchIn(folder)?.launch.instance;
  if (name !== undefined && saved !== undefined && saved !== name) return undefined;
  return { name: name ?? saved ?? basename(folder), stateDir: realpathSync(folder) };
}

/** Names of those whose state lies where it lies when nobody says where, and that do not run. */
export function listStopped(env: Env): readonly string[] {
  return entriesOf(stateRoot(env)).filter((name) => {
    const folder = defaultStateDir(name, env);
    return holdsState(folder) && livingInstanceOf(folder, env) === undefined;
  });
}

export interface StoppedInstance {
  readonly name: string;
  readonly stateDir: string;
}

function savedLaunchIn(folder: string): SavedLaunch | undefined {
  try {
    return readJson<SavedLaunch>(stateFiles(folder).launch);
  } catch {
    return undefined; // damaged
  }
}

/** An agent holds its lock; between two agents a process of the instance lives. */
function livingInstanceIn(runDir: string): LivingInstance | undefined {
  const file = readJson<InstanceFile>(runFiles(runDir).instance);
  if (file === undefined || typeof file.stateDir !== "string") return undefined;
  const lives = isLockHeld(runFiles(runDir).lock) || hasLivingProcess(file.stateDir);
  return lives ? { file, runDir, stateDir: file.stateDir } : undefined;
}

function livingInstanceOf(stateDir: string, env: Env): LivingInstance | undefined {
  try {
    return livingInstanceIn(runDirOf(stateDir, env));
  } catch {
    return undefined; // no such folder: nothing lives there
  }
}

export function hasLivingProcess(stateDir: string): boolean {
  const files = stateFiles(stateDir);
  const processes = processHost();
  const controller = readJson<ControllerFile>(files.controller)?.process;
  if (controller !== undefined && processes.isAlive(controller)) return true;
  return entriesOf(files.actors).some((name) => {
    const actor = readJson<ActorFile>(join(files.actors, name))?.process;
    return actor !== undefined && processes.isAlive(actor);
  });
}

interface Search {
  readonly name: string | undefined;
  readonly given: string | undefined;
  readonly living: readonly LivingInstance[];
  /** What was meant, as it is kept. */
  readonly stopped: StoppedInstance | undefined;
}

const unknown = ({ name, given, living, stopped }: Search): ServeError => {
  const details = { instance: name, running: detailsOf(living) };
  if (stopped !== undefined) {
    const place = given === undefined ? "" : ` --state-dir ${given}`;
    const again = `Start it again with \`maitred start --instance ${stopped.name}${place}\`.`;
    const message = `instance "${stopped.name}" does not run: it is stopped, its state is kept in ${stopped.stateDir}. ${again}`;
    return new ServeError("instance-unknown", message, { details });
  }
  const where = given === undefined ? "on this machine" : `in ${given}`;
  const cure =
    living.length === 0 ? "Start one with `maitred start` or `maitred run app.ts`." : `These run: ${listOf(living)}.`;
  const wanted = name === undefined ? "no instance" : `no instance "${name}"`;
  return new ServeError("instance-unknown", `${wanted} runs ${where}. ${cure}`, { details });
};

const ambiguous = (fitting: readonly LivingInstance[]): ServeError => {
  const names = new Set(fitting.map(({ file }) => file.name));
  const what = names.size === 1 ? `instances named "${fitting[0]?.file.name}" run` : "instances run";
  const byName = names.size === fitting.length ? "--instance (MAITRED_INSTANCE) or " : "";
  return new ServeError(
    "instance-ambiguous",
    `${fitting.length} ${what}: ${listOf(fitting)}. Choose one with ${byName}--state-dir (MAITRED_STATE_DIR).`,
    { details: { running: detailsOf(fitting) } },
  );
};

const detailsOf = (living: readonly LivingInstance[]): readonly object[] =>
  living.map(({ file: { name, stateDir } }) => ({ name, stateDir }));

const listOf = (living: readonly LivingInstance[]): string =>
  living.map(({ file }) => `${file.name} (state in ${file.stateDir})`).join(", ");

const entriesOf = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder);
  } catch {
    return []; // no folder, no entries
  }
};
