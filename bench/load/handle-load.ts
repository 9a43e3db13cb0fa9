/**
 * A program that calls one method through a handle, so many calls in flight. Arguments: instance, endpoint, in flight, seconds.
 * Prints { requests, ms, cpuMicroseconds, p50Ms }: what this process itself used meanwhile, and the median time of a call.
 */
import { serve } from "maitred";
import type { Sum } from "../handlers/handlers.ts";
import { median } from "../measure.ts";

const WARM_UP_MS = 300;

const [instance = "", endpoint = "", inFlight = "64", seconds = "2"] = process.argv.slice(2);
const client = await serve.connect({ instance });
const handle = client.getHandle<typeof Sum>(endpoint);
const numbers = { values: [1, 2, 3, 4, 5, 6, 7, 8] };
const isSingle = Number(inFlight) === 1;
let requests = 0;
let going = true;
const latencies: number[] = [];

const run = async (): Promise<void> => {
  while (going) {
    const startedAt = isSingle ? performance.now() : 0;
    const { sum } = await handle.sum(numbers);
    if (sum !== 36) throw new Error(`a call answered the wrong sum ${sum}`);
    requests += 1;
    if (isSingle) latencies.push(performance.now() - startedAt);
  }
};

const runFor = async (ms: number): Promise<void> => {
  going = true;
  setTimeout(() => {
    going = false;
  }, ms);
  await Promise.all(Array.from({ length: Number(inFlight) }, run));
};

await runFor(WARM_UP_MS);
requests = 0;
latencies.length = 0;
const [startedAt, before] = [performance.now(), process.cpuUsage()];
await runFor(Number(seconds) * 1_000);
const ms = performance.now() - startedAt;
const used = process.cpuUsage(before);
const p50Ms = isSingle ? median(latencies) : undefined;
process.stdout.write(`${JSON.stringify({ requests, ms, cpuMicroseconds: used.user + used.system, p50Ms })}\n`);
await client.close();
