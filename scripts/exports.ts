/**
 * What `import "maitred"` means: in a checkout the sources, in the published package `dist`. npm cannot say both in
 * one package.json, so `prepack` runs this with `published` and `postpack` with `checkout`; each is the inverse of the
 * other and may run twice. Why: docs/adr/0002-run-from-source.md.
 */
import { readFileSync, writeFileSync } from "node:fs";

type Exports = Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;

/** `./src/index.ts` → `{ types: "./dist/index.d.ts", default: "./dist/index.js" }` */
export function publishedExports(exports: Exports): Exports {
  return mapValues(exports, (target) => {
    const name = typeof target === "string" ? /^\.\/src\/(.*)\.ts$/.exec(target)?.[1] : undefined;
    return name === undefined ? target : { types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` };
  });
}

/** `{ types: "./dist/index.d.ts", default: "./dist/index.js" }` → `./src/index.ts` */
export function checkoutExports(exports: Exports): Exports {
  return mapValues(exports, (target) =>
    typeof target === "string" ? target : target.default.replace(/^\.\/dist\/(.*)\.js$/, "./src/$1.ts"),
  );
}

function mapValues(exports: Exports, change: (target: Exports[string]) => Exports[string]): Exports {
  return Object.fromEntries(Object.entries(exports).map(([path, target]) => [path, change(target)]));
}

if (import.meta.main) {
  const change = { published: publishedExports, checkout: checkoutExports }[process.argv[2] ?? ""];
  if (change === undefined) throw new Error("usage: node scripts/exports.ts published|checkout");
  const manifest: { exports: Exports } = JSON.parse(readFileSync("package.json", "utf8"));
  writeFileSync("package.json", `${JSON.stringify({ ...manifest, exports: change(manifest.exports) }, null, 2)}\n`);
}
