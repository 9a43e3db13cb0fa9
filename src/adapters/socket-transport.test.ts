import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { waitFor } from "../../tests/harness/wait-for.ts";
import { createSocketTransport } from "./socket-transport.ts";
import { describeTransport, useSockets } from "./transport.contract.ts";

const DEADLINE_MS = 5_000;
const transport = createSocketTransport();
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "maitred-sockets-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describeTransport(transport, [
  ["unix socket", () => `unix:${join(folder, "s.sock")}`],
  ["TCP connection", () => "tcp:127.0.0.1:0"],
]);

describe("unix sockets", () => {
  const { listen, connect } = useSockets(transport);

  test("the file of a dead process is taken over, and removed at the end", async () => {
    const path = join(folder, "stale.sock");
    await leaveStale(path);
    expect(existsSync(path)).toBe(true);
    const { listening, accepted } = await listen(`unix:${path}`);
    connect(`unix:${path}`);
    await waitFor("it answers", () => accepted.length === 1, DEADLINE_MS);
    await listening.close();
    await waitFor("the file is gone", () => !existsSync(path), DEADLINE_MS);
  });

  test("connecting to a file that is not there closes with an error, after connect has returned", async () => {
    const { end } = connect(`unix:${join(folder, "none.sock")}`);
    expect(end.closed).toEqual([]);
    await waitFor("it is closed", () => end.closed.length === 1, DEADLINE_MS);
    expect(end.closed[0]?.message).toContain("ENOENT");
  });
});

/** As after kill -9: the name of a socket that nobody listens on. */
const leaveStale = async (path: string): Promise<void> => {
  const { renameSync } = await import("node:fs");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.x`, resolve));
  renameSync(`${path}.x`, path);
  await new Promise((resolve) => server.close(resolve));
};
