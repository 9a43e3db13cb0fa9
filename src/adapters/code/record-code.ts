/**
 * Notes what user code this process loads, from the moment it is asked to: each file as it lay on the disk, what Node (or a loader like
 * tsx before it) made of it, and how each import was resolved. It changes nothing of how code is loaded, and costs a read of each file.
 * Assumes that nothing of the user's has been loaded before, but by `--import` and `--require`, which come first and do not count.
 */
import Module, { type LoadFnOutput, type ModuleHooks, type ResolveFnOutput, registerHooks } from "node:module";
import { pathToFileURL } from "node:url";
import { isOwnCode, isUserCode, pathOf, readBytes } from "./user-code.ts";

/** How a module was asked for: what `import` and `require` find may differ. */
export type Asking = "import" | "require";

export interface Resolution {
  /** URL of the module that asked; undefined: maitred itself did. */
  readonly parent: string | undefined;
  readonly asking: Asking;
  readonly specifier: string;
  readonly url: string;
}

export interface RecordedModule {
  readonly url: string;
  readonly format: string | undefined;
  /** As it runs, before Node removes types. undefined: it is no text (an addon). */
  readonly source: string | Uint8Array | undefined;
}

/**
 * What `require` gave to the compiler. A handler of its own (tsx) reads and translates the file by itself, and tells no hook; Node's gives
 * the source that a hook has seen.
 */
export interface CompiledFile {
  readonly path: string;
  readonly text: string;
  readonly format: string | undefined;
}

export interface RecordedCode {
  /** By path, in the order of loading. */
  readonly files: ReadonlyMap<string, Buffer>;
  readonly modules: readonly RecordedModule[];
  readonly compiled: readonly CompiledFile[];
  readonly resolutions: readonly Resolution[];
}

export interface CodeRecorder {
  /** What has been loaded so far. */
  recorded(): RecordedCode;
  stop(): void;
}

export const recordCode = (): CodeRecorder => {
  const files = new Map<string, Buffer>();
  const modules = new Map<string, RecordedModule>();
  const compiled = new Map<string, CompiledFile>();
  const resolutions = new Map<string, Resolution>();

  const noteFile = (path: string): void => {
    if (files.has(path)) return;
    const bytes = readBytes(path);
    if (bytes !== undefined) files.set(path, bytes);
  };
  const hooks: ModuleHooks = registerHooks({
    resolve(specifier, context, next): ResolveFnOutput {
      const result = next(specifier, context);
      if (isUserCode(result.url)) {
        const resolution = { ...askedBy(context), specifier, url: result.url };
        resolutions.set(resolutionKey(resolution), resolution);
      }
      return result;
    },
    load(url, context, next): LoadFnOutput {
      const result = next(url, context);
      if (isUserCode(url)) {
        noteFile(pathOf(url));
        modules.set(url, { url, format: result.format ?? undefined, source: bytesOrText(result.source) });
      }
      return result;
    },
  });
  const stopCompiling = onCompile((file) => {
    if (!isUserCode(pathToFileURL(file.path).href)) return;
    noteFile(file.path);
    compiled.set(file.path, file);
  });
  return {
    recorded: () => ({
      files: new Map(files),
      modules: [...modules.values()],
      compiled: [...compiled.values()],
      resolutions: [...resolutions.values()],
    }),
    stop: () => {
      hooks.deregister();
      stopCompiling();
    },
  };
};

/** Of two askings with one key the answers are the same. */
export const resolutionKey = ({ parent, asking, specifier }: Omit<Resolution, "url">): string =>
  `${asking} ${specifier} ${parent ?? ""}`;

export const askedBy = (context: {
  readonly parentURL?: string | undefined;
  readonly conditions: readonly string[];
}): Pick<Resolution, "parent" | "asking"> => ({
  parent: context.parentURL === undefined || isOwnCode(context.parentURL) ? undefined : context.parentURL,
  asking: context.conditions.includes("import") ? "import" : "require",
});

const bytesOrText = (source: LoadFnOutput["source"]): RecordedModule["source"] => {
  if (source === undefined || source === null || typeof source === "string") return source ?? undefined;
  return source instanceof ArrayBuffer ? new Uint8Array(source) : (source as Uint8Array);
};

interface Compiling {
  _compile(this: Module, text: string, path: string, format?: string): unknown;
}

const onCompile = (note: (file: CompiledFile) => void): (() => void) => {
  const prototype = Module.prototype as unknown as Compiling;
  const { _compile } = prototype;
  const noting: Compiling["_compile"] = function (text, path, format) {
    if (typeof text === "string" && path.startsWith("/")) note({ path, text, format });
    return _compile.call(this, text, path, format);
  };
  prototype._compile = noting;
  return () => {
    // Whoever has put something of its own over it meanwhile keeps that.
    if (prototype._compile === noting) prototype._compile = _compile;
  };
};
