/** The tools that the fault tests judge by: they must see what goes wrong. */
import { spawn } from "node:child_process";
import { createServer, type RequestListener, type Server } from "node:http";
import { afterEach, describe, expect, test } from "vitest";
import { spawnNode } from "./command.ts";
import { useLab } from "./lab.ts";
import { isGood, startLoad } from "./load.ts";
import { isAlive, kill, killAndWait, markedPids } from "./processes.ts";
import { waitFor } from "./wait-for.ts";

describe("the load", () => {
  let server: Server | undefined;

  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  const serve = async (listener: RequestListener): Promise<string> => {
    const listening = createServer(listener);
    server = listening;
    await new Promise<void>((resolve) => {
      listening.listen(0, "127.0.0.1", resolve);
    });
    const address = listening.address();
    return `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`;
  };

  test("notes status and code of answers, and the reason of each that did not come", async () => {
    let count = 0;
    const url = await serve((request, response) => {
      count += 1;
      if (count % 3 === 1) response.end("fine");
      else if (count % 3 === 2) request.socket.destroy();
      else response.writeHead(502, { "content-type": "application/problem+json" }).end('{"code":"replica-lost"}');
    });
    const load = startLoad({ url, perSecond: 100 });
    await load.more(10);
    const sent = await load.stop();
    expect(new Set(sent.map(({ status, reason }) => `${status} ${reason}`))).toEqual(
      new Set(["200 undefined", "undefined ECONNRESET", "502 replica-lost"]),
    );
    expect(new Set(sent.map(({ id }) => id)).size).toBe(sent.length);
    expect(sent.filter(({ connectedAt }) => connectedAt === undefined)).toEqual([]);
  });

  test("goes on at its rate when answers stand still, on kept and on fresh connections", async () => {
    const held: (() => void)[] = [];
    const url = await serve((_request, response) => {
      if (held.length < 20) held.push(() => response.end("late"));
      else response.end("fine");
    });
    const load = startLoad({ url, perSecond: 100 });
    await load.more(20);
    expect(load.answered.filter(({ body }) => body === "late")).toEqual([]);
    for (const release of held) release();
    const sent = await load.stop();
    expect(sent.filter((one) => !isGood(one))).toEqual([]);
    expect(sent.filter(({ connection }) => connection === "fresh").length).toBeGreaterThan(5);
    expect(sent.filter(({ connection }) => connection === "kept").length).toBeGreaterThan(5);
  });
});

describe("the lab", () => {
  const lab = useLab("file");

  test("finds what it started by its mark, also grandchildren whose parents are gone, and ends it", async () => {
    const script = `require("node:child_process").spawn(process.execPath, ["-e", "setInterval(()=>{},1000)"], { detached: true, stdio: "ignore" })`;
    const child = spawnNode(["-e", `${script}; setInterval(()=>{},1000)`]);
    const stranger = spawn(process.execPath, ["-e", "setInterval(()=>{},1000)"], { env: {}, stdio: "ignore" });
    try {
      await waitFor("both run", () => markedPids(lab().mark).length === 2, 5_000);
      await killAndWait(child.pid);
      expect(markedPids(lab().mark)).toHaveLength(1);
      expect(lab().leftovers()).toMatchObject([expect.stringMatching(/^process \d+/)]);
      await lab().end();
      expect(markedPids(lab().mark)).toEqual([]);
      expect(isAlive(stranger.pid ?? 0)).toBe(true);
    } finally {
      kill(stranger.pid ?? 0);
    }
  });
});
