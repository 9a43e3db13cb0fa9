/** Writes kept code (kept-code.ts). */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { ServeError } from "../../base/serve-error.ts";
import { keptCodeName } from "../../core/code-digest.ts";
import { pathOfUrl } from "../../core/module-problem.ts";
import { MAX_KEPT_CODE_BYTES } from "../../model/code-limits.ts";
import type { LoadedCode } from "../../model/code-ref.ts";
import { stateFiles } from "../../model/places.ts";
import { writeWhole } from "../whole-files.ts";
import { hashesOf, loadedCodeOf } from "./code-hashes.ts";
import type { FolderCode } from "./code-loader.ts";
import { KEPT_CODE_VERSION, type KeptCode, type KeptModule } from "./kept-code.ts";

/**
 * Durable when it returns.
 * @throws ServeError `code-too-large`, `state-unwritable`.
 */
export const keepCode = (stateDir: string, { code, entry }: FolderCode): LoadedCode => {
  const hashes = hashesOf(code.files, entry);
  const loaded = loadedCodeOf(entry, hashes);
  const kept: KeptCode = {
    version: KEPT_CODE_VERSION,
    ...loaded,
    hashes,
    modules: code.modules.flatMap(({ url, format, source }) =>
      source === undefined ? [] : [{ url, format, ...textOf(source) }],
    ),
    compiled: code.compiled,
    resolutions: code.resolutions,
  };
  const text = JSON.stringify(kept);
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_KEPT_CODE_BYTES) throw tooLarge(entry, bytes);
  const path = stateFiles(stateDir).keptCode(keptCodeName(loaded));
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeWhole(path, text, "durably");
  return loaded;
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
