/** A backend whose handler calls another one by its handle, once for each query. */
import { getHandle, type ServeRequest } from "maitred";
import type { Sum } from "./handlers.ts";

const inner = getHandle<typeof Sum>("inner");

type Numbers = Parameters<InstanceType<typeof Sum>["sum"]>[0];

export const callInner = async (request: ServeRequest<Numbers>) => inner.sum(await request.json());

/** The same as a method, for handles. */
export class Outer {
  sum(numbers: Numbers) {
    return inner.sum(numbers);
  }
}
