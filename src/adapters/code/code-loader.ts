/**
 * Loaders of user code that know what they have loaded. One of these in a process, before any of the user's code.
 * What counts is what the import of a module loads; what a constructor or a handler imports later is its own affair.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { MAX_SETTLING_TURNS } from "../../model/code-limits.ts";
import type { CodeIdentity, LoadedCode } from "../../model/code-ref.ts";
import type { CodeLoader } from "../../ports/module-loader.ts";
import { nodeModuleLoader } from "../module-loader.ts";
import { hashesOf, loadedCodeOf, readKeptCode } from "./kept-code.ts";
import { type CodeRecorder, type RecordedCode, recordCode } from "./record-code.ts";
import { type Replay, replayCode } from "./replay-code.ts";

/** Loads the code that was kept, or what lies in the folder. */
export const codeLoader = (identity: CodeIdentity | undefined, stateDir: string): CodeLoader =>
  identity?.from === "kept" ? keptCodeLoader(identity, stateDir) : folderLoader();

export interface FolderLoader extends CodeLoader {
  /** What the loads so far have recorded, and the file of the first module; undefined: none has succeeded. */
  recorded(): { readonly code: RecordedCode; readonly entry: string } | undefined;
}

export const folderLoader = (): FolderLoader => {
  const loader = nodeModuleLoader();
  let recorder: CodeRecorder | undefined;
  let recorded: { readonly code: RecordedCode; readonly entry: string } | undefined;
  return {
    load: async (place) => {
      recorder ??= recordCode();
      const exports = await loader.load(place);
      const code = await settled(recorder);
      recorded = { code, entry: recorded?.entry ?? entryOf(code, place) };
      return exports;
    },
    recorded: () => recorded,
    takeLoaded: () => {
      recorder?.stop();
      return recorded === undefined ? undefined : loadedCodeOf(recorded.entry, hashesOf(recorded.code, recorded.entry));
    },
  };
};

const keptCodeLoader = (identity: LoadedCode, stateDir: string): CodeLoader => {
  const loader = nodeModuleLoader();
  let replay: Replay | undefined;
  let loaded: LoadedCode | undefined;
  return {
    load: async (place) => {
      replay ??= replayCode(readKeptCode(stateDir, identity));
      const exports = await loader.load(place);
      loaded = replay.loaded();
      return exports;
    },
    takeLoaded: () => loaded,
  };
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
