/**
 * The peer of the handle row: the same function in a worker thread, called by messages, so many in flight.
 * Arguments: in flight, seconds. Prints { requests, bad, ms }.
 */
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { sumOf } from "./sum.ts";

interface Message {
  readonly id: number;
  readonly value: { readonly values: readonly number[] };
}

const answer = (): void => {
  parentPort?.on("message", ({ id, value }: Message) => parentPort?.postMessage({ id, value: sumOf(value) }));
};

const call = async (inFlight: number, seconds: number): Promise<void> => {
  const worker = new Worker(new URL(import.meta.url));
  const waiting = new Map<number, (value: { readonly sum: number }) => void>();
  worker.on("message", ({ id, value }: { readonly id: number; readonly value: { readonly sum: number } }) => {
    waiting.get(id)?.(value);
    waiting.delete(id);
  });
  let lastId = 0;
  let [requests, bad, going] = [0, 0, true];
  const ask = (value: Message["value"]): Promise<{ readonly sum: number }> =>
    new Promise((resolve) => {
      lastId += 1;
      waiting.set(lastId, resolve);
      worker.postMessage({ id: lastId, value });
    });
  const numbers = { values: [1, 2, 3, 4, 5, 6, 7, 8] };
  const run = async (): Promise<void> => {
    while (going) {
      const { sum } = await ask(numbers);
      requests += 1;
      if (sum !== 36) bad += 1;
    }
  };
  await ask(numbers);
  const startedAt = performance.now();
  const runs = Array.from({ length: inFlight }, run);
  setTimeout(() => {
    going = false;
  }, seconds * 1_000);
  await Promise.all(runs);
  process.stdout.write(`${JSON.stringify({ requests, bad, ms: performance.now() - startedAt })}\n`);
  await worker.terminate();
};

if (isMainThread) await call(Number(process.argv[2] ?? 64), Number(process.argv[3] ?? 2));
else answer();
