import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { expectError } from "../../tests/harness/expect-error.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import type { Address } from "../model/actor.ts";
import type { PollRequest } from "../model/longpoll.ts";
import { createHttpPollTransport, type HttpPollTransportOptions } from "./http-poll-transport.ts";

const DEADLINE_MS = 5_000;
const REQUEST: PollRequest = {
  client: "c",
  kind: "program",
  name: "p",
  subscribe: "all",
  applied: { epoch: 0, counter: 0 },
};
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Polled {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: unknown;
}

async function controller(where: "unix" | "tcp", answer: (polled: Polled) => void) {
  const folder = mkdtempSync(join(tmpdir(), "maitred-poll-"));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  let connections = 0;
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    answer({ request, response, body: JSON.parse(Buffer.concat(parts).toString()) });
  });
  server.on("connection", () => {
    connections += 1;
  });
  const path = join(folder, "c.sock");
  await new Promise<void>((resolve) =>
    where === "unix" ? server.listen(path, resolve) : server.listen(0, "127.0.0.1", resolve),
  );
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  closing.push(close);
  const address: Address =
    where === "unix" ? `unix:${path}` : `tcp:127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { address, close, connections: () => connections };
}

const transportTo = (options: HttpPollTransportOptions) => {
  const transport = createHttpPollTransport(options);
  closing.push(() => transport.close());
  return transport;
};
const never = () => new AbortController().signal;
const reply = (response: ServerResponse, body: unknown, status = 200) => {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
};

describe("the long poll over HTTP", () => {
  test.each(["unix", "tcp"] as const)("carries question and answer over %s, on one connection", async (where) => {
    const seen: Polled[] = [];
    const { address, connections } = await controller(where, (polled) => {
      seen.push(polled);
      reply(polled.response, { kind: "idle", epoch: 3 });
    });
    const transport = transportTo({ leader: () => ({ address }), token: () => "secret" });
    for (let count = 0; count < 3; count += 1) {
      expect(await transport.poll(REQUEST, never())).toEqual({ kind: "idle", epoch: 3 });
    }
    expect(seen[0]!.body).toEqual(REQUEST);
    expect([seen[0]!.request.method, seen[0]!.request.url]).toEqual(["POST", "/v1/longpoll"]);
    expect(seen[0]!.request.headers.authorization).toBe("Bearer secret");
    expect(connections()).toBe(1);
  });

  test("fails with controller-unavailable when none is known, none answers, or the answer is none", async () => {
    const answers: ((response: ServerResponse) => void)[] = [
      (response) => reply(response, { error: "x" }, 503),
      (response) => reply(response, { kind: "else" }),
      (response) => response.end("{"),
      (response) => response.destroy(),
    ];
    const { address, close } = await controller("unix", ({ response }) => answers.shift()!(response));
    let leader: { address: Address } | undefined;
    const transport = transportTo({ leader: () => leader });
    await expectError(transport.poll(REQUEST, never()), "controller-unavailable");
    leader = { address };
    while (answers.length > 0) await expectError(transport.poll(REQUEST, never()), "controller-unavailable");
    close();
    await expectError(transport.poll(REQUEST, never()), "controller-unavailable");
  });

  test("an aborted poll ends at once, and the controller sees the connection go", async () => {
    const seen = { polled: 0, gone: 0 };
    const { address } = await controller("unix", ({ response }) => {
      seen.polled += 1;
      response.on("close", () => {
        seen.gone += 1;
      });
    });
    const transport = transportTo({ leader: () => ({ address }) });
    const abort = new AbortController();
    const failed = expectError(transport.poll(REQUEST, abort.signal), "controller-unavailable");
    await waitFor("the poll is there", () => seen.polled === 1, DEADLINE_MS);
    abort.abort();
    await failed;
    await waitFor("the connection is gone", () => seen.gone === 1, DEADLINE_MS);
  });

  test("tells who listens when the leader changes", () => {
    const transport = transportTo({ leader: () => undefined });
    let changes = 0;
    transport.onLeaderChange(() => {
      changes += 1;
    });
    transport.leaderChanged();
    expect(changes).toBe(1);
  });
});
