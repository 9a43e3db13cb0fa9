/**
 * The files of a backend's code as they were when it was created, in one file of the state folder that is either whole or not there.
 * Modules stand in it under their own URLs: what runs from here believes that it lies where it always lay, so `import.meta.url`,
 * node_modules and data files beside it are what they were. Written by keep-code.ts, run by replay-code.ts.
 */
import { ServeError } from "../../base/serve-error.ts";
import { keptCodeName } from "../../core/code-digest.ts";
import { pathOfUrl } from "../../core/module-problem.ts";
import type { LoadedCode } from "../../model/code-ref.ts";
import { stateFiles } from "../../model/places.ts";
import { readJson } from "../whole-files.ts";
import type { CodeHashes } from "./code-hashes.ts";
import type { CompiledFile, Resolution } from "./record-code.ts";

export interface KeptModule {
  readonly url: string;
  readonly format?: string | undefined;
  readonly source: string;
  /** Of what is no UTF-8 text: WebAssembly. */
  readonly encoding?: "base64" | undefined;
}

export interface KeptCode extends LoadedCode {
  readonly version: typeof KEPT_CODE_VERSION;
  readonly hashes: CodeHashes;
  readonly modules: readonly KeptModule[];
  readonly compiled: readonly CompiledFile[];
  readonly resolutions: readonly Resolution[];
}

export const KEPT_CODE_VERSION = 1;

/** @throws ServeError `code-missing`. */
export const readKeptCode = (stateDir: string, loaded: LoadedCode): KeptCode => {
  const path = stateFiles(stateDir).keptCode(keptCodeName(loaded));
  const kept = readJson<KeptCode>(path);
  if (kept?.version === KEPT_CODE_VERSION && kept.files === loaded.files) return kept;
  throw new ServeError(
    "code-missing",
    `the code that was kept of ${pathOfUrl(loaded.entry)} is not in ${path}${kept === undefined ? "" : " as this version of maitred can read it"}. Deploy it again, or create the backend again under another tag.`,
  );
};
