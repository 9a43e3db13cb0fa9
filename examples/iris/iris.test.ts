import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { readFlowers, SPECIES, splitFlowers } from "./dataset.ts";
import { Input, Iris } from "./iris.ts";
import { trainModels } from "./train.ts";

const { training, heldOut } = splitFlowers(readFlowers());
const modelBytes = (version: string) => readFileSync(new URL(`./${version}.onnx`, import.meta.url));

const open: Iris[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((iris) => iris.close()));
});

async function startIris(path: string): Promise<Iris> {
  const iris = new Iris(path);
  await iris.start();
  open.push(iris);
  return iris;
}

async function measureAccuracy(iris: Iris): Promise<number> {
  const predictions = await Promise.all(heldOut.map((flower) => iris.predict([...flower.lengthsCm])));
  return predictions.filter(({ species }, i) => species === heldOut[i]?.species).length / heldOut.length;
}

describe("the data", () => {
  test("is 150 flowers of four lengths, 50 of each species", () => {
    const flowers = readFlowers();
    expect(flowers).toHaveLength(150);
    for (const species of SPECIES) expect(flowers.filter((flower) => flower.species === species)).toHaveLength(50);
    for (const flower of flowers) expect(flower.lengthsCm.filter(Number.isFinite)).toHaveLength(4);
  });

  test("is the corrected copy: its column means are 5.8433, 3.0573, 3.7580 and 1.1993", () => {
    const columns = [0, 1, 2, 3].map((column) => readFlowers().map((flower) => flower.lengthsCm[column] ?? Number.NaN));
    const means = columns.map((values) => values.reduce((sum, value) => sum + value, 0) / values.length);
    expect(means.map((mean) => mean.toFixed(4))).toEqual(["5.8433", "3.0573", "3.7580", "1.1993"]);
  });

  test("is split into 100 flowers to train on and 50 others to judge by", () => {
    expect([training.length, heldOut.length]).toEqual([100, 50]);
    for (const species of SPECIES)
      expect(heldOut.filter((flower) => flower.species === species).length).toBeGreaterThanOrEqual(16);
  });
});

describe("the models", () => {
  test("name 80 % (v1) and 96 % (v2) of the held-out flowers rightly when onnxruntime runs them", async () => {
    expect(await measureAccuracy(await startIris("v1.onnx"))).toBe(0.8);
    expect(await measureAccuracy(await startIris("v2.onnx"))).toBe(0.96);
  });

  test("are what the training script makes, byte for byte", () => {
    const models = trainModels();
    expect(models.map(({ version, accuracy }) => [version, accuracy])).toEqual([
      ["v1", 0.8],
      ["v2", 0.96],
    ]);
    for (const { version, onnx } of models) expect(modelBytes(version).equals(onnx), `${version}.onnx`).toBe(true);
  });

  test.each(["v1.onnx", "v2.onnx"])("answer species and probabilities that sum to 1 (%s)", async (path) => {
    const { species, probabilities } = await (await startIris(path)).predict([5.1, 3.5, 1.4, 0.2]);
    expect(species).toBe("setosa");
    expect(Object.keys(probabilities)).toEqual([...SPECIES]);
    expect(Object.values(probabilities).reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 5);
  });
});

describe("bad input", () => {
  const row = [5.1, 3.5, 1.4, 0.2];

  test("a row of four lengths is accepted, bare or as features", () => {
    expect(Input.safeParse(row).success).toBe(true);
    expect(Input.safeParse({ features: row }).success).toBe(true);
  });

  test.each([
    [[1, 2, 3], "expected array to have exactly 4 items"],
    [{ features: [1] }, "expected array to have exactly 4 items"],
    [[1, 2, 3, 4, 5], "expected four lengths in centimetres"],
    [[1, 2, 3, "4"], "expected four lengths in centimetres"],
    [[1, 2, 3, null], "expected four lengths in centimetres"],
    [{}, "expected four lengths in centimetres"],
    ["iris", "expected four lengths in centimetres"],
    [[1, 2, 3, -1], "expected number to be >=0"],
    [[1, 2, 3, 1e300], "expected number to be <=100"],
  ])("%j is refused: %s", (body, sentence) => {
    const { error } = Input.safeParse(body);
    expect(error?.issues.map((issue) => issue.message)).toEqual([expect.stringContaining(sentence)]);
  });

  test("a row of the wrong length fails alone, its neighbours in the batch are answered", async () => {
    const iris = await startIris("v2.onnx");
    const [good, short, alsoGood] = await Promise.allSettled([
      iris.predict(row),
      iris.predict([1, 2, 3]),
      iris.predict([6.3, 2.9, 5.6, 1.8]),
    ]);
    expect(good).toMatchObject({ status: "fulfilled", value: { species: "setosa" } });
    expect(short).toMatchObject({ status: "rejected", reason: { status: 422 } });
    expect(alsoGood).toMatchObject({ status: "fulfilled", value: { species: "virginica" } });
  });
});
