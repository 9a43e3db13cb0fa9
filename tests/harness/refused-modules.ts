/** Modules that Node does not load, as their files, and what is said of them. Each lies in a folder of `"type": "module"`. */

const LIBRARY = "export const size = 1;\nexport interface Shape { a: number }\nexport type Name = string;\n";
const TSX = 'or run the backend with nodeArgs: ["--import", "tsx"]';

interface RefusedModule {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  /** Loaded; default `app.ts`. */
  readonly load?: string;
  readonly code: string;
  /** What the sentence begins with behind `module <folder>/`, and what stands in it. */
  readonly says: readonly string[];
}

export const REFUSED_MODULES: readonly RefusedModule[] = [
  {
    name: "a file that does not exist",
    files: {},
    code: "module-not-found",
    says: ["app.ts does not exist"],
  },
  {
    name: "an enum",
    files: { "app.ts": "const a = 1;\nexport enum Color { Red }" },
    code: "module-unsupported-syntax",
    says: ["app.ts:2: `enum`", "`as const`", TSX],
  },
  {
    name: "an enum in another file",
    files: { "app.ts": 'import "./color.ts";', "color.ts": "export const enum Color { Red }" },
    code: "module-unsupported-syntax",
    says: ["color.ts:1: `enum`", TSX],
  },
  {
    name: "a parameter property",
    files: { "app.ts": "export class A {\n  constructor(private readonly x: number) {}\n}" },
    code: "module-unsupported-syntax",
    says: ["app.ts:2: a parameter property", "Declare the field", TSX],
  },
  {
    name: "a namespace",
    files: { "app.ts": "export namespace N { export const a = 1 }" },
    code: "module-unsupported-syntax",
    says: ["app.ts:1: a `namespace`", TSX],
  },
  {
    name: "`import x = require()`",
    files: { "app.ts": 'import fs = require("fs"); export default fs;' },
    code: "module-unsupported-syntax",
    says: ["app.ts:1: `import x = …`", TSX],
  },
  {
    name: "`export =`",
    files: { "app.ts": "export = {};" },
    code: "module-unsupported-syntax",
    says: ["app.ts:1: `export =`", TSX],
  },
  {
    name: "an angle-bracket assertion",
    files: { "app.ts": "export const a = <any>1;" },
    code: "module-unsupported-syntax",
    says: ["app.ts:1: the type assertion `<T>value`", TSX],
  },
  {
    name: "a class decorator",
    files: { "app.ts": "const d = (c: unknown) => c as never;\n@d\nexport class A {}" },
    code: "module-unsupported-syntax",
    says: ["app.ts:2: Node has no decorators", TSX],
  },
  {
    name: "a method decorator in another file",
    files: {
      "app.ts": 'import { size } from "./lib.ts";\nimport { A } from "./a.ts";\nexport default [A, size];',
      "lib.ts": LIBRARY,
      "a.ts": "const d = (c: unknown) => c as never;\nexport class A {\n  @d method() {}\n}",
    },
    code: "module-unsupported-syntax",
    says: ["a.ts:3: Node has no decorators", TSX],
  },
  {
    name: "a decorator of a parameter",
    files: { "app.ts": "export default class A {\n  call(@d x: number) { return 1; }\n}" },
    code: "module-unsupported-syntax",
    says: ["app.ts:2: Node has no decorators", TSX],
  },
  {
    name: "a decorator behind another statement of its line",
    files: { "app.ts": "export const d = (c: unknown) => c as never; @d class A {}" },
    code: "module-unsupported-syntax",
    says: ["app.ts:1: Node has no decorators", TSX],
  },
  {
    name: "a decorator in a file that Node takes for a module only when it is none",
    files: { "app.ts": "const d = (c: unknown) => c as never; @d class A {}\nexport default A;", "package.json": "{}" },
    code: "module-unsupported-syntax",
    says: ["app.ts:1: Node has no decorators", TSX],
  },
  {
    name: "a decorator behind tabs and an @ that is none",
    files: { "app.js": 'export const a = "@x"; // @y\nexport class A {\n\t\t/* @z */ static @d x = `@z`;\n}' },
    load: "app.js",
    code: "module-unsupported-syntax",
    says: ["app.js:3: Node has no decorators", TSX],
  },
  {
    name: "another mistake in a file with an @",
    files: { "app.js": 'export const mail = "a@b";\n/**\n@type {x} */\nlet a = 1;\nlet a = `\n@c`;' },
    load: "app.js",
    code: "module-syntax",
    says: ["app.js:5 does not compile: Identifier 'a' has already been declared."],
  },
  {
    name: "an accessor field behind another one",
    files: { "app.js": "export class A { b = 1; static accessor x = 1; }" },
    load: "app.js",
    code: "module-unsupported-syntax",
    says: ["app.js:1: Node has no `accessor` fields", TSX],
  },
  {
    name: "an accessor field",
    files: { "app.ts": "export class A {\n  accessor x = 1;\n}" },
    code: "module-unsupported-syntax",
    says: ["app.ts:2: Node has no `accessor` fields", TSX],
  },
  {
    name: "a .tsx file",
    files: { "app.tsx": "export default () => 1;" },
    load: "app.tsx",
    code: "module-unsupported-syntax",
    says: ["app.tsx: Node does not run .tsx files", TSX],
  },
  {
    name: "an import of a .tsx file",
    files: { "app.ts": 'import "./page.tsx";', "page.tsx": "export default 1;" },
    code: "module-unsupported-syntax",
    says: ["page.tsx: Node does not run .tsx files", TSX],
  },
  {
    name: "a paths alias @/",
    files: { "app.ts": 'import { x } from "@/lib/x"; export default x;' },
    code: "module-unsupported-syntax",
    says: ["app.ts: ", "alias of `paths`", "#imports", TSX],
  },
  {
    name: "a paths alias ~",
    files: { "app.ts": 'import { x } from "~/lib/x"; export default x;' },
    code: "module-unsupported-syntax",
    says: ["app.ts: ", "alias of `paths`", "#imports", TSX],
  },
  {
    name: "a paths alias that only tsconfig.json tells from a package",
    files: {
      "src/app.ts": 'import { x } from "shared/x"; export default x;',
      "tsconfig.json": '{ "compilerOptions": { "paths": { "shared/*": ["./src/*"] } } }',
    },
    load: "src/app.ts",
    code: "module-unsupported-syntax",
    says: ["src/app.ts: ", '"shared…" is an alias of `paths`', TSX],
  },
  {
    name: "an import by baseUrl",
    files: {
      "src/app.ts": 'import { x } from "src/x"; export default x;',
      "src/x.ts": "export const x = 1;",
      "tsconfig.json": '{ "compilerOptions": { "baseUrl": "." } }',
    },
    load: "src/app.ts",
    code: "module-unsupported-syntax",
    says: ["src/app.ts: ", '"src…" is an alias of `paths`', TSX],
  },
  {
    name: "an import without extension",
    files: { "src/app.ts": 'import { size } from "../lib"; export default size;', "lib.ts": LIBRARY },
    load: "src/app.ts",
    code: "module-unsupported-syntax",
    says: ["src/app.ts: ", 'the import of "../lib" has no file extension', 'Write "../lib.ts"', TSX],
  },
  {
    name: "an import of a folder",
    files: { "app.ts": 'import { size } from "./lib"; export default size;', "lib/index.ts": LIBRARY },
    code: "module-unsupported-syntax",
    says: ["app.ts: the import of the folder", 'Write "./lib/index.ts"', TSX],
  },
  {
    name: "an import of the .js that tsc would emit",
    files: { "app.ts": 'import { size } from "./lib.js"; export default size;', "lib.ts": LIBRARY },
    code: "module-unsupported-syntax",
    says: ["app.ts: ", 'Write "./lib.ts"', TSX],
  },
  {
    name: "an interface imported as a value",
    files: { "app.ts": 'import { size, Shape } from "./lib.ts"; export default size;', "lib.ts": LIBRARY },
    code: "module-unsupported-syntax",
    says: ["app.ts:1: ", '"Shape" of "./lib.ts" is a type', '`import type { Shape } from "./lib.ts"`', TSX],
  },
  {
    name: "a type passed on as a value",
    files: { "app.ts": 'export { Name } from "./lib.ts";', "lib.ts": LIBRARY },
    code: "module-unsupported-syntax",
    says: ["app.ts:1: ", '"Name" of "./lib.ts" is a type', "the same for `export`", TSX],
  },
  {
    name: "a type of a package imported as a value",
    files: {
      "app.ts": 'import { Request } from "pkg"; export default 1;',
      "node_modules/pkg/package.json": '{ "type": "module", "exports": "./index.js" }',
      "node_modules/pkg/index.js": "export const a = 1;",
    },
    code: "module-unsupported-syntax",
    says: ["app.ts:1: ", "If it is a type", '`import type { Request } from "pkg"`', TSX],
  },
  {
    name: "a value that is not exported",
    files: { "app.ts": 'import { sise } from "./lib.ts"; export default sise;', "lib.ts": LIBRARY },
    code: "module-load-failed",
    says: ['app.ts:1 imports "sise" from "./lib.ts"', 'Did you mean "size"?'],
  },
  {
    name: "an ES module where package.json says CommonJS",
    files: { "package.json": '{ "type": "commonjs" }', "app.ts": "\nexport default function hello() {}" },
    code: "module-syntax",
    says: [
      "app.ts:2 is written as an ES module, and ",
      '/package.json says "type": "commonjs". Run `npm pkg set type=module` there, or name the file app.mts.',
    ],
  },
  {
    name: "an import statement where package.json says CommonJS",
    files: { "package.json": '{ "type": "commonjs" }', "app.js": 'import fs from "node:fs"; export default fs;' },
    load: "app.js",
    code: "module-syntax",
    says: ["app.js:1 is written as an ES module", "name the file app.mjs."],
  },
  {
    name: "an ES module whose name says CommonJS",
    files: { "app.cts": "export default function hello() {}" },
    load: "app.cts",
    code: "module-syntax",
    says: ["app.cts:1 is written as an ES module, and its name says CommonJS. Name it app.mts, or"],
  },
  {
    name: "an import of a file that package.json makes CommonJS",
    files: {
      "app.ts": 'import { size } from "./lib/size.ts"; export default size;',
      "lib/size.ts": "export const size = 1;",
      "lib/package.json": '{ "type": "commonjs" }',
    },
    code: "module-syntax",
    says: ["lib/size.ts is written as an ES module, and ", "npm pkg set type=module"],
  },
  {
    name: "CommonJS that does not parse",
    files: { "app.cjs": "\nmodule.exports = 1 +;" },
    load: "app.cjs",
    code: "module-syntax",
    says: ["app.cjs:2 does not compile: Unexpected token ';'."],
  },
  {
    name: "a named import of CommonJS that Node does not see",
    files: {
      "app.mjs": 'import { foo } from "./c.cjs"; export default foo;',
      "c.cjs": "module.exports = (() => ({ foo: 1 }))();",
    },
    load: "app.mjs",
    code: "module-load-failed",
    says: ['app.mjs:1: "./c.cjs" is a CommonJS module', "const { foo } = all"],
  },
  {
    name: "TypeScript that does not parse",
    files: { "app.ts": "export const a = 1;\nexport default function f() { return 1 +; }" },
    code: "module-syntax",
    says: ["app.ts:2 does not compile: Expression expected."],
  },
  {
    name: "JavaScript that does not parse",
    files: { "app.js": "export default function f() { return 1 +; }" },
    load: "app.js",
    code: "module-syntax",
    says: ["app.js:1 does not compile: Unexpected token ';'."],
  },
  {
    name: "TypeScript in node_modules",
    files: {
      "app.ts": 'import { a } from "pkg"; export default a;',
      "node_modules/pkg/package.json": '{ "type": "module", "exports": "./index.ts" }',
      "node_modules/pkg/index.ts": "export const a: number = 1;",
    },
    code: "module-unsupported-syntax",
    says: ["node_modules/pkg/index.ts: a package under node_modules ships TypeScript", TSX],
  },
  {
    name: "a package that is not installed",
    files: { "app.ts": 'import x from "no-such-package"; export default x;' },
    code: "module-not-found",
    says: ['app.ts imports the package "no-such-package", which is not installed', "npm install"],
  },
  {
    name: "an import of a file that is not there",
    files: { "app.ts": 'import x from "./nope.ts"; export default x;' },
    code: "module-not-found",
    says: ['app.ts imports "./nope.ts"', "nope.ts does not exist"],
  },
  {
    name: "an undefined #import",
    files: { "app.ts": 'import x from "#lib/x"; export default x;' },
    code: "module-not-found",
    says: ['app.ts imports "#lib/x", which package.json does not define'],
  },
  {
    name: "a builtin that does not exist",
    files: { "app.ts": 'import x from "node:nope"; export default x;' },
    code: "module-not-found",
    says: ['app.ts imports "node:nope"'],
  },
  {
    name: "JSON without an attribute",
    files: { "app.ts": 'import x from "./data.json"; export default x;', "data.json": "{}" },
    code: "module-load-failed",
    says: ["app.ts: an import of JSON needs an attribute"],
  },
  {
    name: "JSON itself",
    files: { "data.json": "{}" },
    load: "data.json",
    code: "module-load-failed",
    says: ["data.json is JSON, and no code"],
  },
  {
    name: "a folder",
    files: { "lib/a.ts": LIBRARY },
    load: "lib",
    code: "module-not-found",
    says: ["lib is a folder. Name the file in it"],
  },
  {
    name: "require in an ES module",
    files: { "app.ts": '\nconst fs = require("fs"); export default fs;' },
    code: "module-load-failed",
    says: ["app.ts:2 uses `require`", "import and export"],
  },
  {
    name: "a module that throws",
    files: { "app.ts": '\n\nthrow new TypeError("no luck");' },
    code: "module-load-failed",
    says: ["app.ts:3 threw while it was imported: TypeError: no luck."],
  },
  {
    name: "a module that throws a SyntaxError of its own",
    files: { "app.ts": 'JSON.parse("{");' },
    code: "module-load-failed",
    says: ["app.ts:1 threw while it was imported: SyntaxError: "],
  },
  {
    name: "a module that throws a string",
    files: { "app.ts": 'throw "just text";' },
    code: "module-load-failed",
    says: ["app.ts threw while it was imported: just text."],
  },
  {
    name: "a rejected top-level await",
    files: { "app.ts": 'await Promise.reject(new Error("later"));' },
    code: "module-load-failed",
    says: ["app.ts:1 threw while it was imported: later."],
  },
];
