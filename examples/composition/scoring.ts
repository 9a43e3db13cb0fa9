/** A whole module as a backend (`export: "*"`): the functions that it exports are methods with plain arguments. */

export function score(features: readonly number[]): number {
  return features.reduce((sum, value) => sum + value, 0) / Math.max(1, features.length);
}

/** Through a handle, what a generator yields is a stream. */
export async function* sweep(count: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) yield i / count;
}

/** Not a function, so no handle offers it. */
export const limits = { max: 3 };
