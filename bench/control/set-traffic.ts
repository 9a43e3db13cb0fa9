/**
 * `setTraffic`, until it is durable: in a large instance against a small one and against a bare write of the same bytes; from inside the
 * controller's process, and as a client sees it. And what it costs in bytes, in both.
 */
import { join } from "node:path";
import type { Bench, Comparison, Side } from "../comparison.ts";
import { median } from "../measure.ts";
import { type Server, startServer } from "../programs.ts";
import type { RowSpec } from "../row.ts";
import { backendTag, copySeed, endpointTag } from "./seed.ts";
import { ControlWorld } from "./world.ts";

/** Independent of the size: but a number of a large instance may have some more digits. */
const SAME = 1.05;
/** Changes of one side in one round and second of effort. */
const CALLS_PER_SECOND = 50;
const SMALL = 10;

interface Inside {
  readonly ms: number;
  readonly txnBytes: number;
  readonly storeBytes: number;
  readonly pollBytes: number;
}

const NAME = "setTraffic at 10,000 backends and endpoints";

const row = (
  name: string,
  unit: string,
  [value, peer]: readonly [RowSpec["value"], NonNullable<RowSpec["peer"]>],
  atMost: number,
): RowSpec => ({ name: `${NAME}: ${name}`, unit, value, peer, must: { on: "ratio", atMost } });

const large = (reading: string) => ({ side: "large", reading });
const small = (reading: string) => ({ side: "small", reading, name: "10 and 10" });
const bare = { side: "bare", reading: "ms", name: "bare durable write" };

export const setTraffic: Comparison = {
  group: "control",
  rows: [
    row("submit to durable, to a small instance", "ms", [large("ms"), small("ms")], 1.5),
    row("submit to durable, to a bare write", "ms", [large("ms"), bare], 2),
    row("seen by a client, to a bare write", "ms", [{ side: "client", reading: "ms" }, bare], 6),
    row("store bytes", "bytes", [large("store bytes"), small("store bytes")], SAME),
    row("long-poll bytes", "bytes", [large("poll bytes"), small("poll bytes")], SAME),
  ],
  open: async (bench, sides) => {
    const count = Math.ceil(bench.effort.seconds * CALLS_PER_SECOND);
    const inLarge = await openInside(bench, bench.effort.large);
    const inSmall = sides.has("small") ? await openInside(bench, SMALL) : undefined;
    const writer = sides.has("bare")
      ? await startServer("peers/bare-write.ts", [join(bench.folder, "bare.db")])
      : undefined;
    const client = sides.has("client") ? await openClient(bench, count) : undefined;
    const inside =
      (server: Server<object>): Side =>
      async () =>
        readingsOf(await server.ask<Inside>(String(count)));
    const { txnBytes } = await inLarge.ask<Inside>("5");
    return {
      sides: {
        large: inside(inLarge),
        ...(inSmall === undefined ? {} : { small: inside(inSmall) }),
        ...(writer === undefined ? {} : { bare: () => writer.ask<{ ms: number }>(`${txnBytes} ${count}`) }),
        ...(client === undefined ? {} : { client: client.side }),
      },
      close: async () => {
        await client?.close();
        await writer?.stop();
        await inSmall?.stop();
        await inLarge.stop();
      },
    };
  },
};

const openInside = async (bench: Bench, size: number): Promise<Server<object>> =>
  startServer("control/controller-inside.ts", [await copySeed(bench, size, `inside-${size}`), size]);

const readingsOf = ({ ms, storeBytes, pollBytes }: Inside) => ({
  ms,
  "store bytes": storeBytes,
  "poll bytes": pollBytes,
});

/** Over REST to the real controller process. */
const openClient = async (bench: Bench, count: number): Promise<{ side: Side; close(): Promise<void> }> => {
  const { large: size } = bench.effort;
  const world = await ControlWorld.open(bench, size);
  await world.playProxy();
  const client = await world.connect();
  const [endpoint, first, second] = [endpointTag(size / 2), backendTag(size / 2), backendTag(size / 2 + 1)];
  let calls = 0;
  const setOnce = async (): Promise<number> => {
    calls += 1;
    const share = calls % 2 === 0 ? 0.25 : 0.75;
    const startedAt = performance.now();
    const goal = await client.setTraffic(endpoint, { [first]: share, [second]: 1 - share }, { wait: "saved" });
    const ms = performance.now() - startedAt;
    await client.waitForGoal(goal.id);
    return ms;
  };
  return {
    side: async () => {
      const times: number[] = [];
      for (let index = 0; index < count; index += 1) times.push(await setOnce());
      return { ms: median(times) };
    },
    close: () => world.close(),
  };
};
