/**
 * Loaders of user code that know what they have loaded. One of these in a process, before any of the user's code.
 * What counts is what the import of a module loads; what a constructor or a handler imports later is its own affair.
 * A process waits for its code, and nobody for a digest: what only that needs is loaded when somebody asks for it.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { MAX_SETTLING_TURNS } from "../../model/code-limits.ts";
import type { CodeIdentity, LoadedCode } from "../../model/code-ref.ts";
import type { CodeLoader } from "../../ports/module-loader.ts";
import { nodeModuleLoader } from "../module-loader.ts";
import { type CodeRecorder, type RecordedCode, recordCode } from "./record-code.ts";
import type { Replay } from "./replay-code.ts";

/** Loads the code that was kept, or what lies in the folder. */
export const codeLoader = (identity: CodeIdentity | undefined, stateDir: string): CodeLoader =>
  identity?.from === "kept" ? keptCodeLoader(identity, stateDir) : folderLoader();

/** What was loaded from a folder, and the URL of the file of the module that was asked for first. */
export interface FolderCode {
  readonly code: RecordedCode;
  readonly entry: string;
}

export interface FolderLoader extends CodeLoader {
  /** undefined: no load has succeeded. */
  recorded(): FolderCode | undefined;
  /** Paths of the files that were read, also by a load that failed. */
  read(): readonly string[];
}

export const folderLoader = (): FolderLoader => {
  const loader = nodeModuleLoader();
  let recorder: CodeRecorder | undefined;
  let recorded: FolderCode | undefined;
  return {
    load: async (place) => {
      recorder ??= recordCode();
      const exports = await loader.load(place);
      const code = await settled(recorder);
      recorded = { code, entry: recorded?.entry ?? entryOf(code, place) };
      return exports;
    },
    recorded: () => recorded,
    read: () => [...(recorder?.recorded().files.keys() ?? [])],
    digest: async (settings) => {
      recorder?.stop();
      if (recorded === undefined) return undefined;
      const { entry, code } = recorded;
      const { hashesOf, loadedCodeOf } = await import("./code-hashes.ts");
      return digestOf(loadedCodeOf(entry, hashesOf(code.files, entry)), settings);
    },
  };
};

const keptCodeLoader = (identity: LoadedCode, stateDir: string): CodeLoader => {
  const loader = nodeModuleLoader();
  let replaying: Promise<Replay> | undefined;
  let loaded: { readonly replay: Replay; readonly fromDisk: ReadonlyMap<string, Buffer> } | undefined;
  return {
    load: async (place) => {
      replaying ??= replayKept(identity, stateDir);
      const replay = await replaying;
      const exports = await loader.load(place);
      loaded = { replay, fromDisk: replay.fromDisk() };
      return exports;
    },
    digest: async (settings) =>
      loaded === undefined ? undefined : digestOf(await loaded.replay.loaded(loaded.fromDisk), settings),
  };
};

const replayKept = async (identity: LoadedCode, stateDir: string): Promise<Replay> => {
  const [{ readKeptCode }, { replayCode }] = await Promise.all([import("./kept-code.ts"), import("./replay-code.ts")]);
  return replayCode(readKeptCode(stateDir, identity));
};

const digestOf = async ({ files }: LoadedCode, settings: Parameters<CodeLoader["digest"]>[0]): Promise<string> => {
  const { codeDigest } = await import("../../core/code-digest.ts");
  return codeDigest(files, settings);
};

/** An import that nobody awaited may still bring files. */
const settled = async (recorder: CodeRecorder): Promise<RecordedCode> => {
  let before = recorder.recorded();
  for (let turn = 0; turn < MAX_SETTLING_TURNS; turn++) {
    await nextTurn();
    const now = recorder.recorded();
    if (now.files.size === before.files.size) return now;
    before = now;
  }
  return before;
};

/** Where the file of a module really lies: symbolic links may lead elsewhere tomorrow. */
const entryOf = (code: RecordedCode, place: string): string => {
  const url = place.startsWith("file:") ? place : pathToFileURL(place).href;
  return code.resolutions.find(({ parent, specifier }) => parent === undefined && specifier === url)?.url ?? url;
};
