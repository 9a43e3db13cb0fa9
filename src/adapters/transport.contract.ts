/** What every implementation of ports/transport.ts promises. */
import { afterEach, describe, expect, test } from "vitest";
import { expectError } from "../../tests/harness/expect-error.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import type { Address } from "../model/actor.ts";
import type { Listening, Socket, SocketEvents, Transport } from "../ports/transport.ts";

const DEADLINE_MS = 5_000;

class End implements SocketEvents {
  readonly received: Uint8Array[] = [];
  opened = 0;
  drained = 0;
  readonly closed: (Error | undefined)[] = [];
  onOpen(): void {
    this.opened += 1;
  }
  onData(bytes: Uint8Array): void {
    this.received.push(bytes);
  }
  onDrain(): void {
    this.drained += 1;
  }
  onClose(error: Error | undefined): void {
    this.closed.push(error);
  }
  get text(): string {
    return Buffer.concat(this.received).toString();
  }
}

/** Listens and connects, and closes all of it after each test. */
export const useSockets = (transport: Transport) => {
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });
  const listen = async (address: Address) => {
    const accepted: { socket: Socket; end: End }[] = [];
    const listening = await transport.listen(address, (socket) => {
      const end = new End();
      accepted.push({ socket, end });
      return end;
    });
    closing.push(() => listening.close());
    return { listening, accepted };
  };
  const connect = (address: Address) => {
    const end = new End();
    const socket = transport.connect(address, end);
    closing.push(() => socket.destroy());
    return { socket, end };
  };
  return { listen, connect };
};

export const describeTransport = (
  transport: Transport,
  addresses: readonly (readonly [string, () => Address])[],
): void => {
  const { listen, connect } = useSockets(transport);

  describe.each(addresses)("a %s", (_what, addressOf) => {
    const pair = async () => {
      const { listening, accepted } = await listen(addressOf());
      const client = connect(listening.address);
      await waitFor("the connection is up", () => client.end.opened === 1 && accepted.length === 1, DEADLINE_MS);
      return { client, server: accepted[0]!, listening: listening as Listening };
    };

    test("carries bytes both ways, in order", async () => {
      const { client, server } = await pair();
      for (const part of ["a", "b", "c"]) client.socket.write(Buffer.from(part));
      server.socket.write(Buffer.from("x"));
      await waitFor("both have them", () => server.end.text === "abc" && client.end.text === "x", DEADLINE_MS);
    });

    test("calls nothing back inside the call that writes", async () => {
      const { client, server } = await pair();
      client.socket.write(Buffer.from("a"));
      expect(server.end.received).toEqual([]);
      await waitFor("it comes", () => server.end.text === "a", DEADLINE_MS);
    });

    test("bytes that were delivered do not change when their writer writes over its own", async () => {
      const { client, server } = await pair();
      const bytes = Buffer.from("first");
      client.socket.write(bytes);
      await waitFor("they came", () => server.end.text === "first", DEADLINE_MS);
      bytes.fill("x");
      expect(server.end.text).toBe("first");
    });

    test("bytes written before the connection is up arrive", async () => {
      const { listening, accepted } = await listen(addressOf());
      const { socket } = connect(listening.address);
      socket.write(Buffer.from("early"));
      await waitFor("they arrive", () => accepted[0]?.end.text === "early", DEADLINE_MS);
    });

    test("end sends what is queued and closes both sides once, without an error", async () => {
      const { client, server } = await pair();
      client.socket.write(Buffer.alloc(500_000, 1));
      expect(client.socket.isOpen).toBe(true);
      client.socket.end();
      expect(client.socket.isOpen).toBe(false);
      await waitFor("both are closed", () => client.end.closed.length + server.end.closed.length === 2, DEADLINE_MS);
      expect(server.end.received.reduce((sum, bytes) => sum + bytes.length, 0)).toBe(500_000);
      expect([client.end.closed, server.end.closed]).toEqual([[undefined], [undefined]]);
      expect(client.socket.write(Buffer.from("late"))).toBe(false);
    });

    test("destroy closes both sides, each once", async () => {
      const { client, server } = await pair();
      client.socket.destroy();
      client.socket.destroy();
      await waitFor("both are closed", () => client.end.closed.length + server.end.closed.length === 2, DEADLINE_MS);
      for (const { socket } of [client, server])
        expect([socket.write(Buffer.from("late")), socket.isOpen]).toEqual([false, false]);
    });

    test("a full buffer says so, and says when it is empty again", async () => {
      const { client, server } = await pair();
      server.socket.pause();
      let written = 65_536;
      for (; client.socket.write(new Uint8Array(65_536)); written += 65_536);
      expect(client.end.drained).toBe(0);
      server.socket.resume();
      await waitFor("it drains", () => client.end.drained > 0, DEADLINE_MS);
      const received = () => server.end.received.reduce((sum, bytes) => sum + bytes.length, 0);
      await waitFor("all of it came", () => received() === written, DEADLINE_MS);
    });

    test("closing the listener leaves open connections alone", async () => {
      const { client, server, listening } = await pair();
      await listening.close();
      client.socket.write(Buffer.from("still"));
      await waitFor("bytes arrive", () => server.end.text === "still", DEADLINE_MS);
      const late = connect(listening.address);
      await waitFor("a new one is refused", () => late.end.closed.length === 1, DEADLINE_MS);
      expect([late.end.opened, late.end.closed[0]]).toEqual([0, expect.any(Error)]);
    });

    test("where somebody answers, a second listener is refused", async () => {
      const { listening } = await listen(addressOf());
      await expectError(
        transport.listen(listening.address, () => new End()),
        "port-in-use",
      );
      const client = connect(listening.address);
      await waitFor("the first still answers", () => client.end.opened === 1, DEADLINE_MS);
    });
  });

  test("callbacks at the end of a turn run after it, in order, each once", async () => {
    const ran: string[] = [];
    transport.endOfTurn(() => {
      ran.push("first");
      transport.endOfTurn(() => ran.push("next turn"));
    });
    transport.endOfTurn(() => ran.push("second"));
    await Promise.resolve();
    expect(ran).toEqual([]);
    await waitFor("all ran", () => ran.length === 3, DEADLINE_MS);
    expect(ran).toEqual(["first", "second", "next turn"]);
  });
};
