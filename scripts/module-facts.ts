/**
 * Reads one TypeScript source with a real parser and reports what the floors check needs: every import (also type-only,
 * re-exported, dynamic, and `import("x").T`), every trace of `async`, every direct use of the clock or of randomness.
 * It judges nothing.
 */
import { type Expression, parseSync, type StringLiteral, Visitor } from "oxc-parser";

export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** "types": erased before it runs. "load": loaded with the file. "later": a dynamic import. */
  readonly kind: "types" | "load" | "later";
}

export interface Use {
  readonly what: string;
  readonly line: number;
}

export interface ModuleFacts {
  readonly imports: readonly Import[];
  readonly asyncUses: readonly Use[];
  /** `Date.now()`, `new Date()`, `Math.random()`, `setTimeout()` … */
  readonly ambientUses: readonly Use[];
  readonly lineCount: number;
}

const AMBIENT_CALLS = new Set([
  "setTimeout",
  "setInterval",
  "setImmediate",
  "Date.now",
  "performance.now",
  "process.hrtime",
  "AbortSignal.timeout",
  "Math.random",
  "crypto.randomUUID",
  "crypto.getRandomValues",
]);

/** Throws with the parser's own message when the file does not parse. */
export function readModuleFacts(file: string, source: string): ModuleFacts {
  const parsed = parseSync(file, source);
  const [syntaxError] = parsed.errors;
  if (syntaxError !== undefined) throw new Error(`${file}: ${syntaxError.message}`);

  const imports: Import[] = [];
  const asyncUses: Use[] = [];
  const ambientUses: Use[] = [];
  const lineAt = (offset: number) => source.slice(0, offset).split("\n").length;
  const addImport = (from: Expression | StringLiteral, kind: Import["kind"]) => {
    if (from.type === "Literal" && typeof from.value === "string") {
      imports.push({ specifier: from.value, line: lineAt(from.start), kind });
    }
  };
  const addAsync = (what: string, node: { readonly start: number }) =>
    asyncUses.push({ what, line: lineAt(node.start) });
  const addAmbient = (what: string, node: { readonly start: number }) =>
    ambientUses.push({ what, line: lineAt(node.start) });
  const asyncFunction = (node: { readonly async: boolean; readonly start: number }) => {
    if (node.async) addAsync("async", node);
  };

  new Visitor({
    ImportDeclaration: (node) => addImport(node.source, node.importKind === "type" ? "types" : "load"),
    ExportAllDeclaration: (node) => addImport(node.source, node.exportKind === "type" ? "types" : "load"),
    ExportNamedDeclaration: (node) => {
      if (node.source !== null) addImport(node.source, node.exportKind === "type" ? "types" : "load");
    },
    TSImportType: (node) => addImport(node.source, "types"),
    ImportExpression: (node) => addImport(node.source, "later"),

    FunctionDeclaration: asyncFunction,
    FunctionExpression: asyncFunction,
    ArrowFunctionExpression: asyncFunction,
    AwaitExpression: (node) => addAsync("await", node),
    ForOfStatement: (node) => {
      if (node.await) addAsync("for await", node);
    },
    VariableDeclaration: (node) => {
      if (node.kind === "await using") addAsync("await using", node);
    },

    CallExpression: (node) => {
      const name = dottedName(node.callee);
      if (name !== undefined && AMBIENT_CALLS.has(name)) addAmbient(`${name}()`, node);
    },
    NewExpression: (node) => {
      if (dottedName(node.callee) === "Date" && node.arguments.length === 0) addAmbient("new Date()", node);
    },
  }).visit(parsed.program);

  return { imports, asyncUses, ambientUses, lineCount: source.trimEnd().split("\n").length };
}

/** `setTimeout` and `Date.now`, but not `this.#clock.now` or `clock().now`. */
function dottedName(callee: Expression): string | undefined {
  if (callee.type === "Identifier") return callee.name;
  if (callee.type !== "MemberExpression" || callee.computed || callee.object.type !== "Identifier") return undefined;
  const object = callee.object.name === "globalThis" ? "" : `${callee.object.name}.`;
  return callee.property.type === "Identifier" ? `${object}${callee.property.name}` : undefined;
}
