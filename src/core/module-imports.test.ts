/** What Node says of imports that lead nowhere, in the words that Node uses; the others are tried on Node itself (module-errors.test.ts). */
import { expect, test } from "vitest";
import { importProblem } from "./module-imports.ts";

const NO_FILES = { read: () => undefined, exists: () => false };

test("our own package may come from anywhere: no registry is named for it", () => {
  const missing = (name: string) =>
    importProblem(
      {
        file: "/srv/app.ts",
        code: "ERR_MODULE_NOT_FOUND",
        message: `Cannot find package '${name}' imported from /srv/app.ts`,
      },
      NO_FILES,
    ).message;
  expect(missing("maitred")).toContain("npm install <path of your maitred>");
  expect(missing("hono")).toContain("npm install hono");
});
