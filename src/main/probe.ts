/**
 * Loads an app file in a process of its own and says what it asks for: one JSON line on file descriptor 3, `{ plan }` or
 * `{ error: { code, message } }`. User code may do what it likes at import; it cannot hurt the command that asked. When that command
 * goes, so does this process: descriptor 4 ends. argv[2] = path of the app file.
 */
import { writeSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { nodeModuleLoader } from "../adapters/module-loader.ts";
import { messageOf, toErrorBody } from "../base/serve-error.ts";
import { planApp } from "../client/client.ts";
import { placeInStack } from "../core/error-place.ts";

const ANSWER_FD = 3;

/** A thread of its own: user code may never let go of this one. */
const WATCH = `
  const { Socket } = require("node:net");
  const held = new Socket({ fd: 4, readable: true, writable: false });
  const end = () => process.kill(process.pid, "SIGKILL");
  held.on("end", end).on("error", end).resume();
`;

const probe = async (path: string): Promise<object> => {
  try {
    const file = resolve(path);
    const module = await nodeModuleLoader().load(pathToFileURL(file).href);
    return { plan: planApp({ url: pathToFileURL(file).href, defaultExport: module["default"] }) };
  } catch (error) {
    const { code, message } = toErrorBody(error);
    return { error: { code, message } };
  }
};

const answer = (body: object): never => {
  try {
    writeSync(ANSWER_FD, `${JSON.stringify(body)}\n`);
  } catch {
    // Nobody waits any more (EPIPE).
  }
  process.exit(0); // user code may hold timers and sockets open
};

const [, , path = ""] = process.argv;
new Worker(WATCH, { eval: true }).unref();
process.on("uncaughtException", (error) => {
  const message = `module ${resolve(path)}: while it was imported, something that it had begun threw: ${messageOf(error)}`;
  const place = placeInStack(error.stack);
  answer({ error: { code: "module-load-failed", message: place === undefined ? message : `${message} (${place})` } });
});
void probe(path).then(answer);
