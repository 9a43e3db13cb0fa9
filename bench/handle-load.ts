/** A program that calls one method through a handle, so many in flight. Arguments: instance, in flight, seconds. Prints { requests, bad, ms }. */
import { serve } from "maitred";
import type { Sum } from "./sum.ts";

const [instance = "", inFlight = "64", seconds = "2"] = process.argv.slice(2);
const client = await serve.connect({ instance });
const handle = client.getHandle<typeof Sum>("sum-method");
const numbers = { values: [1, 2, 3, 4, 5, 6, 7, 8] };
let requests = 0;
let bad = 0;
let going = true;

const run = async (): Promise<void> => {
  while (going) {
    const { sum } = await handle.sum(numbers);
    requests += 1;
    if (sum !== 36) bad += 1;
  }
};

await handle.sum(numbers);
const startedAt = performance.now();
const runs = Array.from({ length: Number(inFlight) }, run);
setTimeout(() => {
  going = false;
}, Number(seconds) * 1_000);
await Promise.all(runs);
process.stdout.write(`${JSON.stringify({ requests, bad, ms: performance.now() - startedAt })}\n`);
await client.close();
