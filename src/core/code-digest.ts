/**
 * Digests of code. Pure: whoever has read the files gives their hashes. The same files in another folder, or touched, have the same
 * digest; names count as they stand to the module's own folder.
 */
import { sha256 } from "../base/sha256.ts";
import type { BackendConfigInput } from "../model/backend-config.ts";
import type { CodeIdentity, CodeRef, CodeSettings, LoadedCode } from "../model/code-ref.ts";
import { canonicalJson } from "./canonical.ts";

export interface HashedFile {
  /** Relative to the folder of the module: `app.ts`, `../lib/model.ts`. */
  readonly name: string;
  /** SHA-256 of its bytes. */
  readonly sha256: string;
}

/** `locks`: the lock files of the nearest folder that has any, by their bare names. */
export const filesDigest = (files: readonly HashedFile[], locks: readonly HashedFile[]): string =>
  sha256([...lines("file", files), ...lines("lock", locks)].join(""));

const lines = (kind: string, files: readonly HashedFile[]): readonly string[] =>
  files.map((file) => `${JSON.stringify([kind, file.name, file.sha256])}\n`).sort();

export const codeDigest = (files: string, { args, nodeArgs = [], codeVersion }: CodeSettings): string =>
  sha256(canonicalJson({ files, args, nodeArgs, codeVersion }));

export const identityOf = (
  loaded: LoadedCode,
  { code, config }: { readonly code: CodeRef; readonly config: BackendConfigInput },
  from: CodeIdentity["from"],
): CodeIdentity => ({
  digest: codeDigest(loaded.files, {
    args: code.args,
    nodeArgs: config.nodeArgs,
    codeVersion: config.codeVersion,
  }),
  files: loaded.files,
  entry: loaded.entry,
  from,
});

/** The same code under another configuration: what is kept stays, the digest follows. */
export const identityUnder = (
  identity: CodeIdentity | undefined,
  backend: { readonly code: CodeRef; readonly config: BackendConfigInput },
): CodeIdentity | undefined => (identity === undefined ? undefined : identityOf(identity, backend, identity.from));

/** Name under which a node keeps the files of an identity: the same files in two places are two, since each runs in its place. */
export const keptCodeName = ({ files, entry }: LoadedCode): string => `${files}-${sha256(entry).slice(0, 16)}`;

/** As people read it. */
export const shortDigest = ({ digest }: Pick<CodeIdentity, "digest">): string => digest.slice(0, 8);
