/**
 * What goes wrong while a user's module is loaded, as one sentence with its cure. Node says little: a decorator is "Invalid or
 * unexpected token" without a file, a type imported as a value "does not provide an export named". This file knows what Node's
 * errors mean for TypeScript that is run as it is.
 * Pure: it gets the error as text and may look at files through `SourceFiles`. Shared by replicas and by the command line.
 */
import { suggestion } from "../base/did-you-mean.ts";
import { type ExportFailure, exportProblem } from "./module-exports.ts";
import { formatProblem } from "./module-format.ts";
import { type ImportFailure, importProblem } from "./module-imports.ts";
import { type ModuleProblem, pathOfUrl, type SourceFiles, TSX_CURE, unsupported } from "./module-problem.ts";

/** An error of `import()`, as text. */
export interface ModuleFailure {
  /** Path of the module that was asked for. */
  readonly file: string;
  /** Path of the module that did not compile, when it is known to be another one. */
  readonly culprit: string | undefined;
  /** The error was made by Node while it found, read or compiled modules; no user code had thrown it. */
  readonly phase: "linking" | "running";
  readonly name: string;
  readonly code: string | undefined;
  readonly message: string;
  /** Of a file that did not compile it begins with what Node prints: path and line, the line, a caret below the token. */
  readonly stack: string;
}

export function diagnoseModuleFailure(failure: ModuleFailure, files: SourceFiles): ModuleProblem {
  const place = placeOf(failure);
  switch (failure.code) {
    case "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX":
      return unsupported(place.text, unsupportedSyntax(failure.message));
    case "ERR_INVALID_TYPESCRIPT_SYNTAX":
      return syntax(place.text, failure.message);
    case "ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING":
      return unsupported(
        quotedPath(failure.message) ?? place.text,
        `a package under node_modules ships TypeScript, which Node does not run there. Use a version of it that ships JavaScript, ${TSX_CURE}.`,
      );
    case "ERR_UNKNOWN_FILE_EXTENSION":
      return unknownExtension(failure);
    case "ERR_MODULE_NOT_FOUND":
    case "ERR_UNSUPPORTED_DIR_IMPORT":
    case "ERR_PACKAGE_IMPORT_NOT_DEFINED":
    case "ERR_PACKAGE_PATH_NOT_EXPORTED":
    case "ERR_UNKNOWN_BUILTIN_MODULE":
    case "ERR_IMPORT_ATTRIBUTE_MISSING":
      return importProblem(importFailureOf(failure), files);
    default:
      return failure.phase === "linking" ? linkProblem(failure, files) : thrown(failure);
  }
}

/** The module is fine and lacks the export. */
export function exportNotFound(what: {
  readonly file: string;
  readonly wanted: string;
  readonly exports: readonly string[];
}): ModuleProblem {
  const { file, wanted, exports } = what;
  const has = exports.length === 0 ? "it exports nothing" : `it exports ${exports.map(quoted).join(", ")}`;
  const wants = wanted === "default" ? "default export" : `export "${wanted}"`;
  return {
    code: "export-not-found",
    message: `module ${file} has no ${wants}; ${has}.${suggestion(wanted, exports)}`,
  };
}

/** @param got what stands there instead, for people: "a number". */
export function targetInvalid(what: {
  readonly file: string;
  readonly export: string;
  readonly got: string;
}): ModuleProblem {
  return {
    code: "target-invalid",
    message: `module ${what.file}: ${what.export === "*" ? "the module" : `export "${what.export}"`} is ${what.got}. A backend is a function, a class, or an object with call(), fetch() or methods.`,
  };
}

const syntax = (place: string, what: string): ModuleProblem => ({
  code: "module-syntax",
  message: `module ${place} does not compile: ${sentence(what)}`,
});

const CURES: readonly (readonly [RegExp, string])[] = [
  [
    /\benum\b/,
    "`enum` is not removable TypeScript, and Node runs what is left after types are removed. Write a const object with `as const`",
  ],
  [
    /parameter property/,
    "a parameter property (`constructor(private x: T)`) is not removable TypeScript, and Node runs what is left after types are removed. Declare the field and assign it in the constructor",
  ],
  [
    /namespace/,
    "a `namespace` with values is not removable TypeScript, and Node runs what is left after types are removed. Export its members from a module",
  ],
  [/import equals/, "`import x = …` is not removable TypeScript. Write `import x from …`"],
  [/export assignment/, "`export =` is not removable TypeScript. Write `export default …`"],
  [/angle-bracket/, "the type assertion `<T>value` is not removable TypeScript. Write `value as T`"],
];

function unsupportedSyntax(message: string): string {
  const known = CURES.find(([pattern]) => pattern.test(message));
  return known === undefined ? `${sentence(message)} Rewrite it, ${TSX_CURE}.` : `${known[1]}, ${TSX_CURE}.`;
}

function unknownExtension(failure: ModuleFailure): ModuleProblem {
  const extension = /extension "([^"]*)"/.exec(failure.message)?.[1] ?? "";
  const path = /" for (.+)$/.exec(failure.message)?.[1] ?? failure.file;
  if (extension === ".tsx" || extension === ".jsx") {
    return unsupported(
      path,
      `Node does not run ${extension} files. Move what is served into a file without JSX, ${TSX_CURE}.`,
    );
  }
  return {
    code: "module-load-failed",
    message: `module ${path}: Node does not know how to run "${extension}" files. Import a .ts, .js or .json file${path === failure.file ? "" : `, or read this one with node:fs in ${failure.file}`}.`,
  };
}

/** Node linked the modules and found that they do not fit, or V8 did not compile one. */
function linkProblem(failure: ModuleFailure, files: SourceFiles): ModuleProblem {
  const { path, text } = placeOf(failure);
  const format = formatProblem({ path, place: text, message: failure.message }, files);
  if (format !== undefined) return format;
  const missing = missingExport(failure);
  if (missing !== undefined) return exportProblem(missing, files);
  if (failure.name !== "SyntaxError") return thrown(failure);
  const refused = refusedToken(failure.stack);
  // No other text has an @ where V8 looks for a token.
  if (refused?.token === "@") {
    return unsupported(
      text,
      `Node has no decorators. Call the function yourself (\`export const A = decorate(class { … })\`), ${TSX_CURE}.`,
    );
  }
  if (/Unexpected identifier/.test(failure.message) && /\baccessor\s+$/.test(refused?.before ?? "")) {
    return unsupported(text, `Node has no \`accessor\` fields. Write a getter and a setter, ${TSX_CURE}.`);
  }
  return syntax(text, failure.message);
}

function thrown(failure: ModuleFailure): ModuleProblem {
  const place = placeOf(failure);
  if (
    failure.name === "ReferenceError" &&
    /^(require|module|exports|__dirname|__filename) is not/.test(failure.message)
  ) {
    const word = failure.message.slice(0, failure.message.indexOf(" "));
    const instead = word.startsWith("__") ? `import.meta.${word.slice(2)}` : "import and export";
    return {
      code: "module-load-failed",
      message: `module ${place.text} uses \`${word}\`, which ES modules do not have. Use ${instead} instead.`,
    };
  }
  const message = failure.code === "MODULE_NOT_FOUND" ? failure.message.split("\n", 1)[0]! : failure.message;
  const name = ["", "Error", message].includes(failure.name) ? "" : `${failure.name}: `;
  return {
    code: "module-load-failed",
    message: `module ${place.text} threw while it was imported: ${name}${sentence(message)} Mend what it does there, or do it in start(), which is tried again.`,
  };
}

const importFailureOf = (failure: ModuleFailure): ImportFailure => ({
  code: failure.code!,
  message: failure.message,
  file: failure.file,
});

function missingExport(failure: ModuleFailure): ExportFailure | undefined {
  const found =
    /^The requested module '(?<from>[^']+)' does not provide an export named '(?<name>[^']+)'/.exec(failure.message) ??
    /^Named export '(?<name>[^']+)' not found\. The requested module '(?<from>[^']+)' is a CommonJS/.exec(
      failure.message,
    );
  if (found?.groups === undefined) return undefined;
  const { path, line } = placeOf(failure);
  return {
    file: path,
    line,
    from: found.groups["from"]!,
    name: found.groups["name"]!,
    kind: failure.message.startsWith("Named") ? "commonjs" : "esm",
  };
}

interface Place {
  readonly path: string;
  readonly line: number | undefined;
  /** `/srv/app.ts:3`. */
  readonly text: string;
}

/** Where it happened: Node writes `file:///srv/app.ts:3`, in CommonJS the path, above a syntax error's stack, and frames of user code into all others. */
function placeOf(failure: ModuleFailure): Place {
  const head = /^((?:file:\/\/|\/).+?):(\d+)$/m.exec(failure.stack);
  if (head === null && failure.culprit !== undefined) {
    return { path: failure.culprit, line: undefined, text: failure.culprit };
  }
  const frame = head ?? /^\s+at .*?(file:\/\/[^\s)]+?):(\d+):\d+\)?$/m.exec(failure.stack);
  if (frame === null) return { path: failure.file, line: undefined, text: failure.file };
  const path = pathOfUrl(frame[1]!);
  // Frames of our own loader stand below the user's.
  if (head === null && failure.phase === "linking") return { path: failure.file, line: undefined, text: failure.file };
  return { path, line: Number(frame[2]), text: `${path}:${frame[2]}` };
}

/** What V8 stumbled over: the first character of it, and what stands before it in its line. */
function refusedToken(stack: string): { readonly token: string; readonly before: string } | undefined {
  const shown = /^(?:file:\/\/|\/).+?:\d+\n(?<line>.*)\n(?<space>[ \t]*)\^+$/m.exec(stack)?.groups;
  if (shown === undefined) return undefined;
  const [line, column] = [shown["line"]!, shown["space"]!.length];
  return { token: line.slice(column, column + 1), before: line.slice(0, column) };
}

const quotedPath = (message: string): string | undefined => {
  const path = /for "([^"]+)"/.exec(message)?.[1];
  return path === undefined ? undefined : pathOfUrl(path);
};
const quoted = (text: string): string => `"${text}"`;
const sentence = (text: string): string => {
  const trimmed = text.trim();
  return /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
};
