/**
 * A file that is written as an ES module and that Node takes for CommonJS, as one sentence with its cure. Node goes by the file's name
 * (.cjs, .cts) and by the nearest package.json; only where that says nothing does it look into the file. `npm init` writes
 * `"type": "commonjs"`.
 */
import { MAX_FOLDERS_UP, type ModuleProblem, type SourceFiles } from "./module-problem.ts";

/** What V8 says about words of ES modules in CommonJS. */
const ES_MODULE_SYNTAX =
  /^(Unexpected token 'export'|Cannot use import statement outside a module|Cannot use 'import\.meta' outside a module|await is only valid in async functions and the top level bodies of modules)/;

/** Undefined when the error, or the file, is of another kind. */
export function formatProblem(
  { path, place, message }: { readonly path: string; readonly place: string; readonly message: string },
  files: SourceFiles,
): ModuleProblem | undefined {
  return ES_MODULE_SYNTAX.test(message) ? takenForCommonJs({ path, place }, files) : undefined;
}

/** Of a file that is known to be written as an ES module. Undefined when Node does not take it for CommonJS. */
export function takenForCommonJs(
  { path, place }: { readonly path: string; readonly place: string },
  files: SourceFiles,
): ModuleProblem | undefined {
  const cure = cureOf(path, files);
  if (cure === undefined) return undefined;
  return { code: "module-syntax", message: `module ${place} is written as an ES module, and ${cure}` };
}

function cureOf(path: string, files: SourceFiles): string | undefined {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const extension = /\.c?([jt]s)$/.exec(name);
  if (extension === null) return undefined;
  const asModule = name.replace(/\.c?([jt]s)$/, ".m$1");
  if (name.endsWith(`.c${extension[1]}`)) {
    return `its name says CommonJS. Name it ${asModule}, or write \`module.exports = …\`.`;
  }
  const manifest = nearestManifest(path, files);
  if (manifest?.type !== "commonjs") return undefined;
  return `${manifest.path} says "type": "commonjs". Run \`npm pkg set type=module\` there, or name the file ${asModule}.`;
}

function nearestManifest(
  path: string,
  files: SourceFiles,
): { readonly path: string; readonly type: unknown } | undefined {
  let folder = path;
  for (let count = 0; count < MAX_FOLDERS_UP && folder.includes("/"); count += 1) {
    folder = folder.slice(0, folder.lastIndexOf("/"));
    const text = files.read(`${folder}/package.json`);
    if (text !== undefined) return { path: `${folder}/package.json`, type: typeIn(text) };
  }
  return undefined;
}

function typeIn(manifest: string): unknown {
  try {
    return (JSON.parse(manifest) as { readonly type?: unknown } | null)?.type;
  } catch {
    return undefined; // Node has its own words for that
  }
}
