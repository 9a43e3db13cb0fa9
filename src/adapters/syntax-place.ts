/**
 * Where V8 refuses an ES module. Its error does not say it, and Node prints it only for an error that nobody catches. So another Node
 * compiles the file and does not catch; it runs nothing. Some 100 ms, and only for a file that is known not to compile.
 */
import { MAX_PROBE_OUTPUT_BYTES, SYNTAX_CHECK_TIMEOUT_MS } from "../model/code-limits.ts";

const COMPILE = `
const { readFileSync } = require("node:fs");
const path = process.argv[1];
const text = readFileSync(path, "utf8");
const source = /\\.[cm]?ts$/.test(path) ? require("node:module").stripTypeScriptTypes(text) : text;
new (require("node:vm").SourceTextModule)(source, { identifier: path });
`;

/**
 * What Node writes above a stack: the path and line, the line itself, a caret below the token.
 * Undefined where that cannot be found out, or the file does compile: it is not what was loaded.
 */
export async function syntaxPlace(path: string): Promise<string | undefined> {
  // Loaded here: no replica needs it until then.
  const { spawnSync } = await import("node:child_process");
  const { NODE_OPTIONS: _, ...env } = process.env;
  try {
    const { stderr } = spawnSync(
      process.execPath,
      ["--no-warnings", "--experimental-vm-modules", "--eval", COMPILE, path],
      {
        env,
        encoding: "utf8",
        stdio: ["ignore", "ignore", "pipe"],
        timeout: SYNTAX_CHECK_TIMEOUT_MS,
        killSignal: "SIGKILL",
        maxBuffer: MAX_PROBE_OUTPUT_BYTES,
      },
    );
    return stderr.startsWith(`${path}:`) ? stderr : undefined;
  } catch {
    // Processes may be forbidden here (`node --permission`): the message is made without the line.
    return undefined;
  }
}
