/**
 * An import that leads nowhere, as one sentence with its cure. People write imports that only bundlers and `tsc` resolve: without an
 * extension, of a folder, with `.js` for a `.ts` file, by a `paths` alias of tsconfig.json. Which of them it was is seen from the files
 * that are there.
 */
import {
  MAX_FOLDERS_UP,
  type ModuleProblem,
  pathOfUrl,
  type SourceFiles,
  TSX_CURE,
  unsupported,
} from "./module-problem.ts";

export interface ImportFailure {
  /** Node's. */
  readonly code: string;
  readonly message: string;
  /** The module that was asked for. */
  readonly file: string;
}

const EXTENSIONS = [".ts", ".mts", ".cts", ".js", ".mjs", ".cjs", ".json"];

export function importProblem(failure: ImportFailure, files: SourceFiles): ModuleProblem {
  const importer = importerOf(failure.message);
  switch (failure.code) {
    case "ERR_UNSUPPORTED_DIR_IMPORT": {
      const folder = /^Directory import '([^']+)'/.exec(failure.message)?.[1] ?? "";
      if (folder.replace(/\/$/, "") === failure.file.replace(/\/$/, "")) {
        return notFound(folder, "is a folder. Name the file in it that is to be loaded.");
      }
      const index = EXTENSIONS.map((extension) => `${folder}/index${extension}`).find((path) => files.exists(path));
      return unsupported(
        importer ?? failure.file,
        `the import of the folder ${folder} names no file. ${index === undefined ? "Name the file" : `Write "${relative(importer, index)}"`}, ${TSX_CURE}.`,
      );
    }
    case "ERR_PACKAGE_IMPORT_NOT_DEFINED": {
      const specifier = /specifier "([^"]+)"/.exec(failure.message)?.[1] ?? "";
      return notFound(
        importer ?? failure.file,
        `imports "${specifier}", which package.json does not define. Add it under "imports" there, with the file's extension: { "imports": { "#lib/*": "./src/lib/*.ts" } }.`,
      );
    }
    case "ERR_UNKNOWN_BUILTIN_MODULE": {
      const name = /: (\S+)$/.exec(failure.message)?.[1] ?? "";
      return notFound(failure.file, `imports "${name}", which this version of Node does not have.`);
    }
    case "ERR_PACKAGE_PATH_NOT_EXPORTED":
      return notFound(
        importer ?? failure.file,
        `imports something that its package does not export: ${failure.message}.`,
      );
    case "ERR_IMPORT_ATTRIBUTE_MISSING":
      return {
        code: "module-load-failed",
        message: /\.json$/.test(failure.file)
          ? `module ${failure.file} is JSON, and no code. Name a .ts or .js file.`
          : `module ${failure.file}: an import of JSON needs an attribute: \`import data from "./data.json" with { type: "json" }\`.`,
      };
    default:
      return missing(failure, importer, files);
  }
}

function missing(failure: ImportFailure, importer: string | undefined, files: SourceFiles): ModuleProblem {
  const wanted = /^Cannot find (?:module|package) '([^']+)'/.exec(failure.message)?.[1] ?? "";
  const path = pathOfUrl(wanted);
  if (path === failure.file && !files.exists(path)) {
    return { code: "module-not-found", message: `module ${path} does not exist. Check the path.` };
  }
  const place = importer ?? failure.file;
  return path.startsWith("/") ? missingFile(place, path, files) : missingPackage(place, path, files);
}

function missingFile(importer: string, path: string, files: SourceFiles): ModuleProblem {
  const withExtension = EXTENSIONS.map((extension) => `${path}${extension}`).find((file) => files.exists(file));
  if (withExtension !== undefined) {
    return unsupported(
      importer,
      `the import of "${relative(importer, path)}" has no file extension, and Node does not guess one. Write "${relative(importer, withExtension)}", ${TSX_CURE}.`,
    );
  }
  const typescript = path.replace(/\.([cm]?)js$/, ".$1ts");
  if (typescript !== path && files.exists(typescript)) {
    return unsupported(
      importer,
      `the import of "${relative(importer, path)}" means a TypeScript file, and Node runs the source as it is. Write "${relative(importer, typescript)}", ${TSX_CURE}.`,
    );
  }
  return notFound(importer, `imports "${relative(importer, path)}", and ${path} does not exist. Check the path.`);
}

function missingPackage(importer: string, name: string, files: SourceFiles): ModuleProblem {
  if (looksLikeAlias(name) || isTsconfigPath(name, importer, files)) {
    return unsupported(
      importer,
      `"${name}…" is an alias of \`paths\` in tsconfig.json, which Node does not read. Use #imports of package.json ("imports": { "#lib/*": "./src/lib/*.ts" }, then \`import … from "#lib/x"\`) or a relative path, ${TSX_CURE}.`,
    );
  }
  // Ours need not come from a registry: whoever has it knows where from.
  const place = name === OWN_PACKAGE ? "<path of your maitred>" : name;
  return notFound(importer, `imports the package "${name}", which is not installed. Run \`npm install ${place}\`.`);
}

const OWN_PACKAGE = "maitred";

const looksLikeAlias = (name: string): boolean => name === "@" || name.startsWith("@/") || name.startsWith("~");

/** Whether the nearest tsconfig.json maps names that begin so. It is JSON with comments: text is enough for a hint. */
function isTsconfigPath(name: string, importer: string, files: SourceFiles): boolean {
  let folder = importer;
  for (let count = 0; count < MAX_FOLDERS_UP && folder.includes("/"); count += 1) {
    folder = folder.slice(0, folder.lastIndexOf("/"));
    const config = files.read(`${folder}/tsconfig.json`);
    if (config === undefined) continue;
    const paths = config.indexOf('"paths"');
    if (paths >= 0) return config.includes(`"${name}/`, paths) || config.includes(`"${name}"`, paths);
    // `baseUrl` makes the folders beside it importable by name.
    return config.includes('"baseUrl"') && files.exists(`${folder}/${name}`);
  }
  return false;
}

/** The path as an import of `importer` writes it: `./lib/x.ts`, `../x.ts`. */
function relative(importer: string | undefined, path: string): string {
  if (importer === undefined) return path;
  const from = importer.split("/").slice(0, -1);
  const to = path.split("/");
  let common = 0;
  while (common < from.length && from[common] === to[common]) common += 1;
  const up = from.length - common;
  return `${up === 0 ? "./" : "../".repeat(up)}${to.slice(common).join("/")}`;
}

const importerOf = (message: string): string | undefined => {
  const importer = /imported from (.+)$/.exec(message)?.[1];
  return importer === undefined ? undefined : pathOfUrl(importer);
};

const notFound = (place: string, rest: string): ModuleProblem => ({
  code: "module-not-found",
  message: `module ${place} ${rest}`,
});
