/** The handler that is measured: a small JSON object in, a small one out. The peers run the same function. */
import type { ServeRequest } from "maitred";

interface Numbers {
  readonly values: readonly number[];
}

export const sumOf = ({ values }: Numbers) => ({ sum: values.reduce((total, value) => total + value, 0) });

export const sum = async (request: ServeRequest<Numbers>) => sumOf(await request.json());

/** The same as a method, for handles. */
export class Sum {
  sum(numbers: Numbers) {
    return sumOf(numbers);
  }
}
