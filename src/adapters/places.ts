/**
 * Chooses the two folders of an instance on this node, and finds the instances that live on this machine.
 * State: `MAITRED_STATE_DIR`, else `$XDG_STATE_HOME/maitred/<instance>`; an instance that ends with its program: a folder in the
 * system's temporary one. Run: `/tmp/maitred-<uid>/<12 hex digits of SHA-256 of the state folder's real path>`, short because a
 * socket's path has at most 107 bytes, and the same for all who start from one state folder, so that they meet at one lock.
 * Both are 0700 and ours, or refused.
 */
import { createHash } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, realpathSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { messageOf, ServeError } from "../base/serve-error.ts";
import { isName, NAME_RULE } from "../model/ids.ts";
import { type ActorFile, type ControllerFile, type InstanceFile, runFiles, stateFiles } from "../model/places.ts";
import { isLockHeld } from "./kernel-lock.ts";
import { processHost } from "./processes.ts";
import { readJson } from "./whole-files.ts";

type Env = Readonly<Record<string, string | undefined>>;

export interface Places {
  readonly stateDir: string;
  readonly runDir: string;
}

export interface LivingInstance extends Places {
  readonly file: InstanceFile;
}

export interface PlacesWish {
  readonly instance: string;
  /** `mine`: ends, and is erased, with this program. */
  readonly life: "mine" | "detached";
  /** A flag; goes before the environment. */
  readonly stateDir: string | undefined;
  readonly env: Env;
}

const RUN_ID = /^[0-9a-f]{12}$/;

/** Creates what is missing. Throws `tag-invalid`, `state-unwritable`. */
export function preparePlaces(wish: PlacesWish): Places {
  if (!isName(wish.instance)) {
    throw new ServeError("tag-invalid", `instance name "${wish.instance}" is not a name: use ${NAME_RULE}.`);
  }
  const stateDir = wish.life === "mine" ? temporaryFolder(wish.instance) : prepareStateDir(stateDirOf(wish));
  const runDir = runDirOf(stateDir, wish.env);
  ensurePrivateFolder(runRoot(wish.env));
  ensurePrivateFolder(runDir);
  return { stateDir, runDir };
}

/** The folder must exist: its real path counts. */
export const runDirOf = (stateDir: string, env: Env): string =>
  join(runRoot(env), createHash("sha256").update(realpathSync(stateDir)).digest("hex").slice(0, 12));

/** A folder of this user for what all its instances share. `MAITRED_RUN_ROOT` is for machines where /tmp cannot be written. */
const runRoot = (env: Env): string => env["MAITRED_RUN_ROOT"] ?? `/tmp/maitred-${process.getuid?.() ?? 0}`;

/** Creates a folder that only this user can look into. Refuses one that somebody else could have prepared. */
export function ensurePrivateFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw unusable(path, messageOf(cause), cause);
  }
  const found = lstatSync(path);
  if (!found.isDirectory()) throw unusable(path, "it is not a folder");
  if (process.getuid !== undefined && found.uid !== process.getuid())
    throw unusable(path, "it belongs to another user");
  if ((found.mode & 0o077) !== 0) chmodSync(path, 0o700);
}

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
  /** A flag; goes before the environment. */
  readonly instance: string | undefined;
  readonly env: Env;
}

/** The instance that a command means. Throws `instance-unknown`, `instance-ambiguous`. */
export function chooseInstance({ instance, env }: InstanceChoice): LivingInstance {
  const name = instance ?? env["MAITRED_INSTANCE"];
  const given = env["MAITRED_STATE_DIR"];
  const living =
    given === undefined ? listInstances(env) : [livingInstanceOf(given, env)].filter((found) => found !== undefined);
  const fitting = name === undefined ? living : living.filter((found) => found.file.name === name);
  const [only, ...others] = fitting;
  if (only === undefined) throw unknown(name, living);
  if (others.length > 0) throw ambiguous(fitting);
  return only;
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

function hasLivingProcess(stateDir: string): boolean {
  const files = stateFiles(stateDir);
  const processes = processHost();
  const controller = readJson<ControllerFile>(files.controller)?.process;
  if (controller !== undefined && processes.isAlive(controller)) return true;
  return entriesOf(files.actors).some((name) => {
    const actor = readJson<ActorFile>(join(files.actors, name))?.process;
    return actor !== undefined && processes.isAlive(actor);
  });
}

const stateDirOf = ({ instance, stateDir, env }: PlacesWish): string => {
  const given = stateDir ?? env["MAITRED_STATE_DIR"];
  if (given !== undefined && given !== "") return resolve(given);
  return join(env["XDG_STATE_HOME"] || join(env["HOME"] || homedir(), ".local", "state"), "maitred", instance);
};

/** A folder is ours when it is empty or holds what we put there: `shutdown` deletes it with everything in it. */
function prepareStateDir(path: string): string {
  ensurePrivateFolder(path);
  const files = stateFiles(path);
  const marks = [files.store, files.launch, files.actors, files.logs, files.nodeIncarnation, files.tombstone];
  const names = entriesOf(path);
  if (names.length > 0 && !marks.some((mark) => names.includes(mark.slice(path.length + 1)))) {
    throw unusable(path, "it holds files that are not maitred's. Name an empty or a new folder");
  }
  return realpathSync(path);
}

const temporaryFolder = (instance: string): string => {
  try {
    return realpathSync(mkdtempSync(join(tmpdir(), `maitred-${instance.replaceAll(":", "-")}-`)));
  } catch (cause) {
    throw unusable(tmpdir(), messageOf(cause), cause);
  }
};

const entriesOf = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder);
  } catch {
    return []; // no folder, no entries
  }
};

const unusable = (path: string, why: string, cause?: unknown): ServeError =>
  new ServeError("state-unwritable", `${path} cannot be used: ${why}.`, { cause });

const unknown = (name: string | undefined, living: readonly LivingInstance[]): ServeError => {
  const running = living.length === 0 ? "No instance runs." : `These run: ${namesOf(living)}.`;
  return new ServeError(
    "instance-unknown",
    name === undefined
      ? "no instance runs on this machine. Start one with `maitred start` or `maitred run app.ts`."
      : `no instance "${name}" runs on this machine. ${running}`,
    { details: { instance: name, running: living.map((found) => found.file.name) } },
  );
};

const ambiguous = (living: readonly LivingInstance[]): ServeError =>
  new ServeError(
    "instance-ambiguous",
    `${living.length} instances run: ${namesOf(living)}. Name one with --instance or MAITRED_INSTANCE, or its folder with MAITRED_STATE_DIR.`,
    { details: { running: living.map((found) => found.file.name) } },
  );

const namesOf = (living: readonly LivingInstance[]): string =>
  living.map(({ file }) => `${file.name} (${file.stateDir})`).join(", ");
