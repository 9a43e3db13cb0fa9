/**
 * ports/listen-sockets.ts by `net.BoundSocket` (Node >= 26.4), else by probing only. A socket is bound with SO_REUSEPORT, because the
 * agent after this one must bind the same port while this one's proxies still accept on it; so that two instances do not share a port in
 * silence, a plain bind asks first, and a name in Linux's abstract socket space says "taken" until some proxy listens.
 */
import { lookup } from "node:dns/promises";
import * as net from "node:net";
import { messageOf, ServeError } from "../base/serve-error.ts";
import type { Address } from "../model/actor.ts";
import type { ListenSocket, ListenSockets, ListenWish } from "../ports/listen-sockets.ts";

export const createListenSockets = (): ListenSockets => ({
  maxProxiesPerPort: maxProxiesPerPort({ platform: process.platform, passesSockets: net.BoundSocket !== undefined }),
  open,
});

/** Proxies inherit one socket, or each binds the port itself (SO_REUSEPORT of Linux); where neither works, one proxy has it alone. */
export const maxProxiesPerPort = (node: { readonly platform: string; readonly passesSockets: boolean }): number =>
  node.passesSockets || node.platform === "linux" ? Number.POSITIVE_INFINITY : 1;

async function open({ host, port, heldBy }: ListenWish): Promise<ListenSocket> {
  const ip = await resolveHost(host);
  const chosen = heldBy === "nobody" ? await probe({ host, ip, port }) : port;
  const reservation = await reserve(ip, chosen);
  if (reservation === "taken" && heldBy === "nobody") throw inUse(host, chosen);
  const release = () => {
    if (reservation !== "taken") reservation?.close();
  };
  const address: Address = `tcp:${ip.includes(":") ? `[${ip}]` : ip}:${chosen}`;
  if (net.BoundSocket === undefined) return { port: chosen, address, fd: undefined, close: release };
  const bound = bind({ host, ip, port: chosen, sharing: "reusePort" });
  return {
    port: chosen,
    address,
    fd: bound.fd(),
    close: () => {
      bound.close();
      release();
    },
  };
}

/** Refuses a port on which somebody listens; answers the port that the system gives for 0. */
async function probe(at: { readonly host: string; readonly ip: string; readonly port: number }): Promise<number> {
  if (net.BoundSocket !== undefined) {
    const bound = bind({ ...at, sharing: "alone" });
    const { port } = bound.address() as { port: number };
    bound.close();
    return port;
  }
  const server = net.createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => reject(notBound(at.host, at.port, cause)));
    server.listen({ host: at.ip, port: at.port, exclusive: true }, resolve);
  });
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Binding {
  readonly host: string;
  readonly ip: string;
  readonly port: number;
  readonly sharing: "alone" | "reusePort";
}

function bind({ host, ip, port, sharing }: Binding): net.BoundSocket {
  try {
    // macOS knows no load-balancing SO_REUSEPORT: there one agent binds, and a later one waits for its proxies to go.
    return new net.BoundSocket({ host: ip, port, reusePort: sharing === "reusePort" && process.platform === "linux" });
  } catch (cause) {
    throw notBound(host, port, cause);
  }
}

/** A name that this process alone can hold, and loses when it dies. */
async function reserve(ip: string, port: number): Promise<net.Server | "taken" | undefined> {
  if (process.platform !== "linux") return undefined;
  const server = net.createServer((socket) => socket.destroy());
  return new Promise((resolve) => {
    server.once("error", () => resolve("taken"));
    server.listen(`\0maitred-port-${ip}-${port}`, () => resolve(server.unref()));
  });
}

const HOST_CURE = "Choose one with --host: 127.0.0.1, 0.0.0.0 for all addresses, or one that `ip address` shows.";

async function resolveHost(host: string): Promise<string> {
  if (net.isIP(host) !== 0) return host;
  if (host === "localhost") return "127.0.0.1";
  try {
    return (await lookup(host)).address;
  } catch (cause) {
    throw new ServeError(
      "config-invalid",
      `http.host "${host}" is no address of this machine: ${messageOf(cause)}. ${HOST_CURE}`,
      {
        cause,
      },
    );
  }
}

function notBound(host: string, port: number, cause: unknown): ServeError {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") return inUse(host, port, cause);
  if (code === "EACCES") {
    return new ServeError(
      "config-invalid",
      `this user may not listen on port ${port}. Choose a port above 1023, or allow it (setcap, sysctl net.ipv4.ip_unprivileged_port_start).`,
      { cause },
    );
  }
  return new ServeError(
    "config-invalid",
    `http.host "${host}" cannot be listened on: ${messageOf(cause)}. ${HOST_CURE}`,
    { cause },
  );
}

const inUse = (host: string, port: number, cause?: unknown): ServeError =>
  new ServeError(
    "port-in-use",
    `port ${port} of ${host} is already in use. Choose another with --port (0 takes a free one), or end what listens there.`,
    { details: { host, port }, cause },
  );
