/** A model that keeps its core busy: 1 ms for one item, 2 ms for sixteen, as vectorised models do. */
import { batch, type ServeRequest } from "maitred";

const MS_FOR_ONE = 1;
const MS_FOR_SIXTEEN = 2;
const BATCH_SIZE = 16;

const compute = (items: number): void => {
  const until = performance.now() + MS_FOR_ONE + ((items - 1) * (MS_FOR_SIXTEEN - MS_FOR_ONE)) / (BATCH_SIZE - 1);
  while (performance.now() < until);
};

const predict = (item: unknown) => ({ item });

const predictAll = batch(
  (items: unknown[]) => {
    compute(items.length);
    return items.map(predict);
  },
  { maxBatchSize: BATCH_SIZE, batchWaitTimeoutMs: 2 },
);

export const together = async (request: ServeRequest) => predictAll(await request.json());

export const alone = async (request: ServeRequest) => {
  const item = await request.json();
  compute(1);
  return predict(item);
};
