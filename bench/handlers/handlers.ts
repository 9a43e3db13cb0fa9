/**
 * What is served and measured. Functions of plain values first: the peers run the same ones. The instance that is measured loads this
 * module too.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ServeRequest } from "maitred";

interface Numbers {
  readonly values: readonly number[];
}

export const sumOf = ({ values }: Numbers) => ({ sum: values.reduce((total, value) => total + value, 0) });

/** Parts of a streamed response. */
export const PARTS = 50;
export const partOf = (index: number): string => `part ${String(index).padStart(2, "0")}\n`;
/** One turn of the event loop: between two parts, as between two tokens, other work gets its turn. */
export const tick = (): Promise<void> => nextTurn();

/** A large body. */
export const BIG_BYTES = 10_000_000;

export const sum = async (request: ServeRequest<Numbers>) => sumOf(await request.json());

/** The same as a method, for handles. */
export class Sum {
  sum(numbers: Numbers) {
    return sumOf(numbers);
  }
}

export async function* parts(): AsyncGenerator<string> {
  for (let index = 0; index < PARTS; index += 1) {
    yield partOf(index);
    await tick();
  }
}

const BIG = Buffer.alloc(BIG_BYTES, "x");
export const download = () => BIG;

export const upload = async (request: ServeRequest) => {
  let bytes = 0;
  for await (const chunk of request.body ?? []) bytes += chunk.length;
  return { bytes };
};
