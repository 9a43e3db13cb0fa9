/**
 * The peer of the handle row: the same function in a Piscina pool. Tries a short while each number of threads, of tasks a thread and of
 * tasks in flight, unless it is told which. Arguments: seconds, and either `search` or the three numbers.
 * Prints { requests, ms, threads, tasksPerThread, inFlight } of the run, or of the best.
 */
import { availableParallelism } from "node:os";
import { Piscina } from "piscina";

interface Shape {
  readonly threads: number;
  readonly tasksPerThread: number;
  readonly inFlight: number;
}

interface Result extends Shape {
  readonly requests: number;
  readonly ms: number;
}

const SEARCH_SECONDS = 0.5;
const WARM_UP_SECONDS = 0.3;
const numbers = { values: [1, 2, 3, 4, 5, 6, 7, 8] };

const load = async (pool: Piscina, inFlight: number, seconds: number): Promise<number> => {
  let requests = 0;
  let going = true;
  const run = async (): Promise<void> => {
    while (going) {
      const { sum } = (await pool.run(numbers)) as { readonly sum: number };
      if (sum !== 36) throw new Error(`a task answered the wrong sum ${sum}`);
      requests += 1;
    }
  };
  setTimeout(() => {
    going = false;
  }, seconds * 1_000);
  await Promise.all(Array.from({ length: inFlight }, run));
  return requests;
};

const measure = async (shape: Shape, seconds: number): Promise<Result> => {
  const { threads, tasksPerThread, inFlight } = shape;
  const pool = new Piscina({
    filename: new URL("../handlers/handlers.ts", import.meta.url).href,
    name: "sumOf",
    minThreads: threads,
    maxThreads: threads,
    concurrentTasksPerWorker: tasksPerThread,
  });
  await load(pool, inFlight, WARM_UP_SECONDS);
  const startedAt = performance.now();
  const requests = await load(pool, inFlight, seconds);
  const ms = performance.now() - startedAt;
  await pool.destroy();
  return { ...shape, requests, ms };
};

const search = async (): Promise<Result> => {
  const results: Result[] = [];
  for (let threads = 1; threads <= Math.min(4, availableParallelism()); threads += 1) {
    for (const tasksPerThread of [1, 16, 64, 256]) {
      for (const inFlight of [16, 64, 256])
        results.push(await measure({ threads, tasksPerThread, inFlight }, SEARCH_SECONDS));
    }
  }
  return results.reduce((best, one) => (one.requests / one.ms > best.requests / best.ms ? one : best));
};

const [seconds = "2", threads = "search", tasksPerThread, inFlight] = process.argv.slice(2);
const result =
  threads === "search"
    ? await search()
    : await measure(
        { threads: Number(threads), tasksPerThread: Number(tasksPerThread), inFlight: Number(inFlight) },
        Number(seconds),
      );
process.stdout.write(`${JSON.stringify(result)}\n`);
