/**
 * Fisher's irises: 150 flowers of three species, four lengths in centimetres each.
 * Every third flower of the file (50 of 150) is held out: training never sees it, accuracy is
 * measured on nothing else.
 */
import { readFileSync } from "node:fs";

/** In the order of the models' outputs. */
export const SPECIES = ["setosa", "versicolor", "virginica"] as const;
export type Species = (typeof SPECIES)[number];

export interface Flower {
  /** Sepal length, sepal width, petal length, petal width. */
  readonly lengthsCm: readonly number[];
  readonly species: Species;
}

export function readFlowers(): Flower[] {
  const csv = readFileSync(new URL("./data/iris.csv", import.meta.url), "utf8");
  const [, ...rows] = csv.trimEnd().split("\n");
  return rows.map((row) => {
    const cells = row.split(",");
    const species = SPECIES.find((name) => name === cells.at(-1));
    if (species === undefined) throw new Error(`iris.csv: unknown species in "${row}"`);
    return { lengthsCm: cells.slice(0, -1).map(Number), species };
  });
}

export function splitFlowers(flowers: readonly Flower[]): { training: Flower[]; heldOut: Flower[] } {
  const isHeldOut = (index: number) => index % 3 === 2;
  return {
    training: flowers.filter((_, index) => !isHeldOut(index)),
    heldOut: flowers.filter((_, index) => isHeldOut(index)),
  };
}
