/** Connections that lend the memory they read into, over a real socket. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { waitFor } from "../../tests/harness/wait-for.ts";
import type { LentMemory } from "../base/lent-memory.ts";
import { MAX_IDLE_READ_MEMORIES, READ_BYTES } from "../model/limits.ts";
import type { Socket, SocketEvents } from "../ports/transport.ts";
import { ReadPool } from "./read-memory.ts";
import { createSocketTransport } from "./socket-transport.ts";
import { useSockets } from "./transport.contract.ts";

const DEADLINE_MS = 20_000;
const folder = mkdtempSync(join(tmpdir(), "maitred-reads-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const transport = createSocketTransport();
const { listen } = useSockets(transport);

/** Each word says where it stands. */
const SENT = Buffer.from(Uint32Array.from({ length: 5_000_000 }, (_, index) => index).buffer);

/** Lets go of each lent read when `keeps` later ones have come, and looks at its bytes only then. */
class Reader implements SocketEvents {
  readonly memories = new Set<ArrayBufferLike>();
  readonly received = Buffer.alloc(SENT.length);
  bytes = 0;
  lentReads = 0;
  isClosed = false;
  readonly #keeps: number;
  readonly #held: (() => void)[] = [];

  constructor(keeps: number) {
    this.#keeps = keeps;
  }
  onData(bytes: Uint8Array): void {
    this.received.set(bytes, this.bytes);
    this.bytes += bytes.length;
  }
  onLent(bytes: Uint8Array, memory: LentMemory): void {
    const at = this.bytes;
    this.bytes += bytes.length;
    this.lentReads += 1;
    this.memories.add(bytes.buffer);
    const letGo = memory.hold();
    this.#held.push(() => {
      this.received.set(bytes, at);
      letGo();
    });
    if (this.#held.length > this.#keeps) this.#held.shift()!();
  }
  onDrain(): void {}
  onClose(): void {
    for (const look of this.#held.splice(0)) look();
    this.isClosed = true;
  }
}

const sendTo = async (reader: Reader, name: string, send: (socket: Socket) => void): Promise<void> => {
  const { listening, accepted } = await listen(`unix:${join(folder, name)}`);
  transport.connect(listening.address, reader);
  await waitFor("it is connected", () => accepted.length === 1, DEADLINE_MS);
  send(accepted[0]!.socket);
  accepted[0]!.socket.end();
  await waitFor("all has come", () => reader.isClosed, DEADLINE_MS);
};

test("what is let go of at once is read into again, and every byte arrives", async () => {
  const reader = new Reader(0);
  await sendTo(reader, "a.sock", (socket) => socket.write(SENT));
  expect(reader.received.equals(SENT)).toBe(true);
  expect(reader.lentReads).toBeGreaterThan(10);
  expect(reader.memories.size).toBeLessThan(5);
});

test("what is held is not read into, however long", async () => {
  const reader = new Reader(20);
  await sendTo(reader, "b.sock", (socket) => socket.write(SENT));
  expect(reader.received.equals(SENT)).toBe(true);
  expect(reader.memories.size).toBeGreaterThan(20);
});

test("small reads are copies of their own", async () => {
  const reader = new Reader(0);
  const seen: Uint8Array[] = [];
  reader.onData = (bytes) => void seen.push(bytes);
  await sendTo(reader, "c.sock", (socket) => socket.write(Buffer.from("abc")));
  expect(seen.map((bytes) => Buffer.from(bytes).toString())).toEqual(["abc"]);
  expect(reader.lentReads).toBe(0);
});

test("a pool keeps only so much for later", () => {
  const pool = new ReadPool();
  const all = Array.from({ length: MAX_IDLE_READ_MEMORIES + 5 }, () => pool.take());
  for (const piece of all) pool.giveBack(piece);
  const again = Array.from({ length: MAX_IDLE_READ_MEMORIES + 5 }, () => pool.take());
  expect(again.filter((piece) => all.includes(piece))).toHaveLength(MAX_IDLE_READ_MEMORIES);
  expect(new Set(again).size).toBe(again.length);
  expect(again.every((piece) => piece.length === READ_BYTES)).toBe(true);
});
