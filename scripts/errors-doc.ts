/**
 * Makes docs/errors.md from the table of codes in src/model/error-codes.ts. `node scripts/errors-doc.ts` prints it,
 * `node scripts/errors-doc.ts --write` writes the file; a test fails while the file is not what this makes.
 */
import { writeFileSync } from "node:fs";
import { ERROR_CODES } from "../src/model/error-codes.ts";

const HEAD = `# Errors

<!-- Made by \`node scripts/errors-doc.ts --write\` from src/model/error-codes.ts. Do not edit. -->

Every error that leaves maitred is a \`ServeError\` with one of these codes. Codes are stable; messages are for people and may change.

- In a program: \`error.code\`, \`error.message\`, \`error.retryable\`, \`error.details\`.
- Over HTTP (REST and the served routes): the status below and problem JSON (RFC 9457) with \`code\` and \`detail\`.
- On the command line: the message on stderr, with \`--json\` as \`{ "error": { "code", "message" } }\`. The exit status is 1, but 2 for
  \`usage\` and \`instance-ambiguous\`, 3 for \`goal-pending\`, 4 for \`instance-unknown\`.

*Again*: the same call may be sent again as it is, and may then succeed.

| code | status | again | meaning |
|---|---|---|---|
`;

export const errorsDoc = (): string =>
  HEAD +
  Object.entries(ERROR_CODES)
    .map(([code, { status, retryable, meaning }]) => {
      const shown = meaning.replaceAll("|", "\\|");
      return `| \`${code}\` | ${status} | ${retryable ? "yes" : ""} | ${shown} |\n`;
    })
    .join("");

if (import.meta.main) {
  if (process.argv.includes("--write")) writeFileSync(new URL("../docs/errors.md", import.meta.url), errorsDoc());
  else process.stdout.write(errorsDoc());
}
