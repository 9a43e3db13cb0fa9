/** The peer of the lone call: a unix socket that sends back what it gets. Argument: its path. */
import { createServer } from "node:net";
import "./end-with-parent.ts";

const [path = ""] = process.argv.slice(2);
createServer((socket) => socket.on("data", (bytes) => socket.write(bytes))).listen(path, () => {
  process.stdout.write("{}\n");
});
