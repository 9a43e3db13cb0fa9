/**
 * Chooses the two folders of an instance on this node, and makes them.
 * State: `MAITRED_STATE_DIR`, else `$XDG_STATE_HOME/maitred/<instance>`; an instance that ends with its program: a folder in the
 * system's temporary one. Run: `/tmp/maitred-<uid>/<12 hex digits of SHA-256 of the state folder's real path>`, short because a
 * socket's path has at most 107 bytes, and the same for all who start from one state folder, so that they meet at one lock.
 * Both are 0700 and ours, or refused.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { messageOf, ServeError } from "../base/serve-error.ts";
import { isName, NAME_RULE } from "../model/ids.ts";
import { MAX_SOCKET_PATH_BYTES } from "../model/limits.ts";
import { runFiles, stateFiles } from "../model/places.ts";
import { tryAcquireLock } from "./kernel-lock.ts";
import { ensurePrivateFolder, removeIfEmpty, unusable } from "./private-folder.ts";

export type Env = Readonly<Record<string, string | undefined>>;

export interface Places {
  readonly stateDir: string;
  readonly runDir: string;
}

export interface PlacesWish {
  readonly instance: string;
  /** `mine`: ends, and is erased, with this program. */
  readonly life: "mine" | "detached";
  /** A flag; goes before the environment. */
  readonly stateDir: string | undefined;
  readonly env: Env;
}

export interface PreparedPlaces extends Places {
  /** Takes back what was made, after a start that did not succeed. What is saved, or what somebody else is at work on, stays. */
  abandon(): void;
}

/** Creates what is missing. Throws `tag-invalid`, `state-unwritable`. */
export function preparePlaces(wish: PlacesWish): PreparedPlaces {
  if (!isName(wish.instance)) {
    throw new ServeError("tag-invalid", `instance name "${wish.instance}" is not a name: use ${NAME_RULE}.`);
  }
  const made: string[] = [];
  try {
    const state =
      wish.life === "mine"
        ? temporaryFolder(wish.instance)
        : prepareStateDir(givenStateDir(wish.stateDir, wish.env) ?? defaultStateDir(wish.instance, wish.env));
    if (state.how === "made") made.push(state.path);
    const runDir = runDirOf(state.path, wish.env);
    refuseLongPath(runDir);
    ensurePrivateFolder(runRoot(wish.env));
    if (ensurePrivateFolder(runDir) === "made") made.push(runDir);
    const places = { stateDir: state.path, runDir };
    return { ...places, abandon: () => abandon(places, made) };
  } catch (error) {
    made.forEach(removeIfEmpty);
    throw error;
  }
}

/** An agent that was ended before it could begin has left its log and its lock. */
function abandon({ stateDir, runDir }: Places, made: readonly string[]): void {
  const { launch, store, tombstone, logs } = stateFiles(stateDir);
  const lock = existsSync(runDir) ? tryAcquireLock(runFiles(runDir).lock) : undefined;
  const isSaved = [launch, store, tombstone].some((path) => existsSync(path));
  if (lock !== undefined && !isSaved) rmSync(logs, { recursive: true, force: true });
  lock?.removeAndRelease();
  made.forEach(removeIfEmpty);
}

/** The folder must exist: its real path counts. */
export const runDirOf = (stateDir: string, env: Env): string =>
  join(runRoot(env), createHash("sha256").update(realpathSync(stateDir)).digest("hex").slice(0, 12));

/** A folder of this user for what all its instances share. `MAITRED_RUN_ROOT` is for machines where /tmp cannot be written. */
export const runRoot = (env: Env): string => env["MAITRED_RUN_ROOT"] ?? `/tmp/maitred-${process.getuid?.() ?? 0}`;

/** What a flag or the environment names, as a whole path. An empty text names nothing. */
export const givenStateDir = (stateDir: string | undefined, env: Env): string | undefined => {
  const given = stateDir || env["MAITRED_STATE_DIR"];
  return given ? resolve(given) : undefined;
};

/** Where the state of a detached instance lies when nobody says where. */
export const defaultStateDir = (instance: string, env: Env): string => join(stateRoot(env), instance);

/** Where the state folders of instances lie that nobody has put elsewhere. */
export const stateRoot = (env: Env): string =>
  join(env["XDG_STATE_HOME"] || join(env["HOME"] || homedir(), ".local", "state"), "maitred");

interface Prepared {
  readonly path: string;
  readonly how: "made" | "found";
}

/** A folder is ours when it is empty or holds what we put there: `shutdown` deletes it with everything in it. */
function prepareStateDir(path: string): Prepared {
  const how = ensurePrivateFolder(path, (entries) =>
    entries.length === 0 || isMarked(path, entries) ? undefined : "it holds files that are not maitred's",
  );
  return { path: realpathSync(path), how };
}

const isMarked = (path: string, entries: readonly string[]): boolean => {
  const files = stateFiles(path);
  const marks = [files.store, files.launch, files.actors, files.logs, files.nodeIncarnation, files.tombstone];
  return marks.some((mark) => entries.includes(basename(mark)));
};

/** Whether the folder is there and is the state of an instance of ours. */
export const holdsState = (path: string): boolean => {
  try {
    return isMarked(path, readdirSync(path));
  } catch {
    return false; // no folder, or not one that we may look into
  }
};

function refuseLongPath(runDir: string): void {
  const bytes = Buffer.byteLength(runFiles(runDir).controllerSocket(999_999)); // no instance sees so many controllers
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    throw unusable(
      runDir,
      `a socket in it may need a path of ${bytes} bytes, and the system takes ${MAX_SOCKET_PATH_BYTES}`,
    );
  }
}

const temporaryFolder = (instance: string): Prepared => {
  try {
    return {
      path: realpathSync(mkdtempSync(join(tmpdir(), `maitred-${instance.replaceAll(":", "-")}-`))),
      how: "made",
    };
  } catch (cause) {
    throw unusable(tmpdir(), messageOf(cause), cause);
  }
};
