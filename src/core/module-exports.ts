/**
 * An import of a name that the other module does not export, as one sentence with its cure. In TypeScript it is mostly a type that
 * was imported as if it were a value: `tsc` drops such an import, Node keeps it. The other module's source says which it was.
 */
import { suggestion } from "../base/did-you-mean.ts";
import { takenForCommonJs } from "./module-format.ts";
import { type ModuleProblem, type SourceFiles, TSX_CURE } from "./module-problem.ts";

export interface ExportFailure {
  /** The importing module. */
  readonly file: string;
  readonly line: number | undefined;
  /** As the import writes it: `./lib.ts`, `maitred`. */
  readonly from: string;
  readonly name: string;
  /** What the other module is. */
  readonly kind: "esm" | "commonjs";
}

export function exportProblem(failure: ExportFailure, files: SourceFiles): ModuleProblem {
  const { file, line, from, name } = failure;
  const place = line === undefined ? file : `${file}:${line}`;
  const source = from.startsWith(".") ? files.read(resolve(file, from)) : undefined;
  if (source !== undefined && exportedNames(source).includes(name)) {
    const path = resolve(file, from);
    const format = takenForCommonJs({ path, place: path }, files);
    if (format !== undefined) return format;
  }
  const typed = /\.[cm]?tsx?$/.test(file);
  if (failure.kind === "esm" && source !== undefined && !declaresType(source, name))
    return notExported(place, failure, source);
  if (typed && failure.kind === "esm") {
    const certain =
      source === undefined
        ? `"${name}" of "${from}" is not there at run time. If it is a type, write`
        : `"${name}" of "${from}" is a type, and Node does not know that: write`;
    return {
      code: "module-unsupported-syntax",
      message: `module ${place}: ${certain} \`import type { ${name} } from "${from}"\` or \`import { type ${name} }\` (the same for \`export\`), ${TSX_CURE}.`,
    };
  }
  if (failure.kind === "commonjs") {
    return {
      code: "module-load-failed",
      message: `module ${place}: "${from}" is a CommonJS module without the named export "${name}". Write \`import all from "${from}"; const { ${name} } = all\`.`,
    };
  }
  return notExported(place, failure, undefined);
}

function notExported(place: string, { from, name }: ExportFailure, source: string | undefined): ModuleProblem {
  const exported = source === undefined ? [] : exportedNames(source);
  return {
    code: "module-load-failed",
    message: `module ${place} imports "${name}" from "${from}", which does not export it.${suggestion(name, exported)}`,
  };
}

const escaped = (name: string): string => name.replace(/[$]/g, "\\$&");

const declaresType = (source: string, name: string): boolean =>
  new RegExp(`\\b(interface|type)\\s+${escaped(name)}(?![\\w$])`).test(source) ||
  new RegExp(
    `\\bdeclare\\s+(abstract\\s+)?(class|const|let|var|function|enum|namespace)\\s+${escaped(name)}(?![\\w$])`,
  ).test(source) ||
  // Passed on from elsewhere as a type: `export type { T } from`, `import { type T }`.
  new RegExp(`\\btype\\s*\\{[^}]*(?<![\\w$])${escaped(name)}(?![\\w$])`).test(source);

const exportedNames = (source: string): string[] =>
  [...source.matchAll(/\bexport\s+(?:async\s+)?(?:const|let|var|function\*?|class)\s+([\w$]+)/g)].map(
    (match) => match[1]!,
  );

/** `../lib.ts` seen from `/srv/app/main.ts` is `/srv/lib.ts`. */
function resolve(importer: string, specifier: string): string {
  const parts = importer.split("/").slice(0, -1);
  for (const part of specifier.replace(/[?#].*$/, "").split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}
