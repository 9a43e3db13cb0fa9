/**
 * Notes in a call what its environment files hold at this moment, as digests: the same path with another content is a change too. A file
 * that cannot be read is left to the start of a replica, which fails with the reason.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { BackendConfigUpdate } from "../model/backend-config.ts";
import type { Call } from "../model/calls.ts";

export const withEnvDigests = async (call: Call): Promise<Call> => {
  if (call.kind === "createBackend" || call.kind === "updateBackendConfig") return noted(call);
  if (call.kind !== "deploy") return call;
  const backends = Object.entries(call.backends).map(async ([tag, backend]) => [tag, await noted(backend)] as const);
  return { ...call, backends: Object.fromEntries(await Promise.all(backends)) };
};

const noted = async <T extends { readonly config: BackendConfigUpdate }>(wish: T): Promise<T> => {
  const { envFile } = wish.config;
  if (envFile === undefined || envFile === null) return wish;
  const envDigest = await readFile(envFile).then(
    (bytes) => createHash("sha256").update(bytes).digest("hex"),
    () => undefined,
  );
  return { ...wish, envDigest };
};
