/**
 * Runs kept code in this process: each module is answered from what was kept, under its own URL, and found as it was found then,
 * whatever lies in its folder now. What was not kept (packages, data files, what a handler imports for the first time) comes from the
 * disk. Assumes that it is called before the user's code is loaded.
 */
import Module, { type LoadFnOutput, type ResolveFnOutput, registerHooks } from "node:module";
import type { LoadedCode } from "../../model/code-ref.ts";
import type { KeptCode, KeptModule } from "./kept-code.ts";
import { askedBy, type CompiledFile, resolutionKey } from "./record-code.ts";
import { isUserCode, pathOf, readBytes } from "./user-code.ts";

export interface Replay {
  /** User code, by path, that came from the disk all the same. */
  fromDisk(): ReadonlyMap<string, Buffer>;
  /** The kept code, and this beside it. */
  loaded(fromDisk: ReadonlyMap<string, Buffer>): Promise<LoadedCode>;
}

export const replayCode = (kept: KeptCode): Replay => {
  const modules = new Map(kept.modules.map((module) => [module.url, module]));
  const resolutions = new Map(kept.resolutions.map((resolution) => [resolutionKey(resolution), resolution.url]));
  const fromDisk = new Map<string, Buffer>();

  registerHooks({
    resolve(specifier, context, next): ResolveFnOutput {
      const url = resolutions.get(resolutionKey({ ...askedBy(context), specifier }));
      if (url === undefined) return next(specifier, context);
      return { url, format: modules.get(url)?.format, shortCircuit: true };
    },
    load(url, context, next): LoadFnOutput {
      const module = modules.get(url);
      if (module !== undefined) return { format: module.format, source: sourceOf(module), shortCircuit: true };
      if (isUserCode(url)) noteFromDisk(pathOf(url));
      return next(url, context);
    },
  });
  if (kept.compiled.length > 0) compileKept(kept.compiled);

  const noteFromDisk = (path: string): void => {
    const bytes = readBytes(path);
    if (bytes !== undefined) fromDisk.set(path, bytes);
  };
  return {
    fromDisk: () => new Map(fromDisk),
    loaded: (found) => (found.size === 0 ? Promise.resolve(kept) : withFiles(kept, found)),
  };
};

const withFiles = async ({ entry, hashes }: KeptCode, found: ReadonlyMap<string, Buffer>): Promise<LoadedCode> => {
  const { hashFiles, loadedCodeOf } = await import("./code-hashes.ts");
  const files = new Map([...hashes.files, ...hashFiles(found, entry)].map((file) => [file.name, file]));
  return loadedCodeOf(entry, { files: [...files.values()], locks: hashes.locks });
};

const sourceOf = ({ source, encoding }: KeptModule): string | Uint8Array<ArrayBuffer> =>
  encoding === "base64" ? Uint8Array.from(Buffer.from(source, "base64")) : source;

type Handler = (
  module: Module & { _compile(text: string, path: string, format: string | undefined): unknown },
  path: string,
) => unknown;

/** What `require` compiles is handed over as it was compiled then, whoever reads and translates files in this process. */
const compileKept = (compiled: readonly CompiledFile[]): void => {
  const files = new Map(compiled.map((file) => [file.path, file]));
  const handlers = (Module as unknown as { readonly _extensions: Record<string, Handler> })._extensions;
  // tsx hides one of its handlers from enumeration.
  for (const extension of Object.getOwnPropertyNames(handlers)) {
    const handler = handlers[extension]!;
    const value: Handler = (module, path) => {
      const file = files.get(path);
      return file === undefined ? handler(module, path) : module._compile(file.text, path, file.format);
    };
    Object.defineProperty(handlers, extension, { value });
  }
};
