import { createServer } from "node:net";
import { afterEach, expect, it } from "vitest";
import type { ListenSocket, ListenWish } from "../ports/listen-sockets.ts";
import { createListenSockets, maxProxiesPerPort } from "./listen-sockets.ts";

const sockets = createListenSockets();
const opened: ListenSocket[] = [];
afterEach(() => {
  for (const socket of opened.splice(0)) socket.close();
});
const open = async (wish: Partial<ListenWish> = {}): Promise<ListenSocket> => {
  const socket = await sockets.open({ host: "127.0.0.1", port: 0, heldBy: "nobody", ...wish });
  opened.push(socket);
  return socket;
};

it("chooses a port for 0 and says where it is", async () => {
  const socket = await open({ host: "localhost" });
  expect(socket.port).toBeGreaterThan(0);
  expect(socket.address).toBe(`tcp:127.0.0.1:${socket.port}`);
  expect(socket.fd).toBeGreaterThan(2);
});

it("refuses a port on which somebody listens", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await expect(open({ port })).rejects.toMatchObject({ code: "port-in-use", details: { port } });
  server.close();
});

it("refuses a port that another instance has bound, even before a proxy of it listens", async () => {
  const { port } = await open();
  await expect(open({ port })).rejects.toMatchObject({ code: "port-in-use" });
});

it("binds beside the sockets of this instance's own proxies", async () => {
  const { port } = await open();
  expect((await open({ port, heldBy: "ours" })).port).toBe(port);
});

it("is free again when it is closed", async () => {
  const { port } = await open();
  opened.pop()?.close();
  expect((await open({ port })).port).toBe(port);
});

it("says which host it cannot listen on", async () => {
  await expect(open({ host: "203.0.113.9" })).rejects.toMatchObject({ code: "config-invalid" });
  await expect(open({ host: "no.such.host.invalid" })).rejects.toThrow("is no address of this machine");
});

it("lets several proxies answer on one port where a socket can be passed on or a port be shared, and one elsewhere", () => {
  expect(sockets.maxProxiesPerPort).toBe(Number.POSITIVE_INFINITY);
  expect(maxProxiesPerPort({ platform: "linux", passesSockets: false })).toBe(Number.POSITIVE_INFINITY);
  expect(maxProxiesPerPort({ platform: "darwin", passesSockets: true })).toBe(Number.POSITIVE_INFINITY);
  expect(maxProxiesPerPort({ platform: "darwin", passesSockets: false })).toBe(1);
});
