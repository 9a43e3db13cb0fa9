/**
 * The files of a backend's code as they were when it was created, in one file of the state folder that is either whole or not there.
 * Modules stand in it under their own URLs: what runs from here believes that it lies where it always lay, so `import.meta.url`,
 * node_modules and data files beside it are what they were.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { ServeError } from "../../base/serve-error.ts";
import { filesDigest, type HashedFile, keptCodeName } from "../../core/code-digest.ts";
import { pathOfUrl } from "../../core/module-problem.ts";
import { MAX_KEPT_CODE_BYTES } from "../../model/code-limits.ts";
import type { LoadedCode } from "../../model/code-ref.ts";
import { stateFiles } from "../../model/places.ts";
import { readJson, writeWhole } from "../whole-files.ts";
import type { CompiledFile, RecordedCode, Resolution } from "./record-code.ts";
import { hashOf, nameOf, nearestLocks } from "./user-code.ts";

export interface KeptModule {
  readonly url: string;
  readonly format?: string | undefined;
  readonly source: string;
  /** Of what is no UTF-8 text: WebAssembly. */
  readonly encoding?: "base64" | undefined;
}

export interface KeptCode extends LoadedCode {
  readonly version: typeof KEPT_CODE_VERSION;
  readonly hashes: { readonly files: readonly HashedFile[]; readonly locks: readonly HashedFile[] };
  readonly modules: readonly KeptModule[];
  readonly compiled: readonly CompiledFile[];
  readonly resolutions: readonly Resolution[];
}

const KEPT_CODE_VERSION = 1;

/** @param entry URL of the file of the module that was asked for. */
export const hashesOf = (recorded: RecordedCode, entry: string): KeptCode["hashes"] => ({
  files: Array.from(recorded.files, ([path, bytes]) => ({ name: nameOf(path, entry), sha256: hashOf(bytes) })),
  locks: nearestLocks(entry),
});

export const loadedCodeOf = (entry: string, { files, locks }: KeptCode["hashes"]): LoadedCode => ({
  files: filesDigest(files, locks),
  entry,
});

/**
 * Durable when it returns.
 * @throws ServeError `code-too-large`, `state-unwritable`.
 */
export const keepCode = (stateDir: string, recorded: RecordedCode, entry: string): LoadedCode => {
  const hashes = hashesOf(recorded, entry);
  const loaded = loadedCodeOf(entry, hashes);
  const kept: KeptCode = {
    version: KEPT_CODE_VERSION,
    ...loaded,
    hashes,
    modules: recorded.modules.flatMap(({ url, format, source }) =>
      source === undefined ? [] : [{ url, format, ...textOf(source) }],
    ),
    compiled: recorded.compiled,
    resolutions: recorded.resolutions,
  };
  const text = JSON.stringify(kept);
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_KEPT_CODE_BYTES) throw tooLarge(entry, bytes);
  const path = stateFiles(stateDir).keptCode(keptCodeName(loaded));
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeWhole(path, text, "durably");
  return loaded;
};

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

const textOf = (source: string | Uint8Array): Pick<KeptModule, "source" | "encoding"> => {
  if (typeof source === "string") return { source };
  const buffer = Buffer.from(source.buffer, source.byteOffset, source.byteLength);
  const text = buffer.toString("utf8");
  return Buffer.from(text).equals(buffer)
    ? { source: text }
    : { source: buffer.toString("base64"), encoding: "base64" };
};

const tooLarge = (entry: string, bytes: number): ServeError =>
  new ServeError(
    "code-too-large",
    `module ${pathOfUrl(entry)} loads code of ${bytes} bytes from outside node_modules; at most ${MAX_KEPT_CODE_BYTES} are kept. Read data with node:fs instead of importing it, or move what is large into a package.`,
    { details: { bytes, maxBytes: MAX_KEPT_CODE_BYTES } },
  );
