/**
 * Trains the two models of this example and writes them beside this file: `node examples/iris/train.ts`.
 * Both learn from 100 flowers and are judged on the 50 held-out ones. v1 is a softmax regression that
 * saw each flower once: cheap, and it shows. v2 is a two-layer network that saw each a hundred times.
 * The same code and data always give the same bytes.
 */
import { writeFileSync } from "node:fs";
import { type Flower, readFlowers, SPECIES, splitFlowers } from "./dataset.ts";
import { type Example, type Network, predict, type Training, train, type Vector } from "./network.ts";
import { encodeOnnxModel, type OnnxNode, type OnnxTensor } from "./onnx-writer.ts";

const SEED = 1936;
const VERSIONS = {
  v1: { sizes: [4, 3], epochs: 1, learningRate: 0.02, seed: SEED },
  v2: { sizes: [4, 16, 3], epochs: 100, learningRate: 0.02, seed: SEED },
} satisfies Record<string, Training>;

interface TrainedModel {
  readonly version: string;
  /** The share of the held-out flowers whose most probable species is the right one. */
  readonly accuracy: number;
  /** The bytes of the .onnx file. */
  readonly onnx: Uint8Array;
}

export function trainModels(): TrainedModel[] {
  const { training, heldOut } = splitFlowers(readFlowers());
  const scale = measureScale(training);
  const examples = training.map((flower) => toExample(flower, scale));
  return Object.entries(VERSIONS).map(([version, options]) => {
    const network = train(examples, options);
    const isRight = ({ input, label }: Example) => indexOfLargest(predict(network, input)) === label;
    const right = heldOut.filter((flower) => isRight(toExample(flower, scale)));
    return { version, accuracy: right.length / heldOut.length, onnx: toOnnx(version, scale, network) };
  });
}

// ── lengths in centimetres → numbers around 0 with a spread of 1, which a network learns from best

interface Scale {
  readonly means: Vector;
  readonly deviations: Vector;
}

/** Of the training flowers alone: the held-out ones must not leak into the model. */
function measureScale(flowers: readonly Flower[]): Scale {
  const columns = transpose(flowers.map((flower) => flower.lengthsCm));
  const means = columns.map(mean);
  const deviations = columns.map((values) => Math.sqrt(mean(values.map((value) => (value - mean(values)) ** 2))));
  return { means, deviations };
}

function toExample(flower: Flower, { means, deviations }: Scale): Example {
  const input = flower.lengthsCm.map((length, i) => (length - (means[i] as number)) / (deviations[i] as number));
  return { input, label: SPECIES.indexOf(flower.species) };
}

const mean = (values: Vector) => values.reduce((sum, value) => sum + value, 0) / values.length;
const indexOfLargest = (values: Vector) => values.indexOf(Math.max(...values));
const transpose = (rows: readonly Vector[]): Vector[] =>
  (rows[0] ?? []).map((_, i) => rows.map((row) => row[i] as number));

// ── network → ONNX: x → (x - means) / deviations → [dense → relu]… → dense → softmax → p

/** Scaling is part of the graph, so whoever serves the model feeds it plain centimetres. */
function toOnnx(version: string, { means, deviations }: Scale, network: Network): Uint8Array {
  const constants: OnnxTensor[] = [
    { name: "means", shape: [means.length], values: means },
    { name: "deviations", shape: [deviations.length], values: deviations },
  ];
  const nodes: OnnxNode[] = [
    { operator: "Sub", inputs: ["x", "means"], output: "centred" },
    { operator: "Div", inputs: ["centred", "deviations"], output: "values0" },
  ];
  network.forEach((layer, i) => {
    const weights = transpose(layer.map((neuron) => neuron.slice(0, -1)));
    const biases = layer.map((neuron) => neuron.at(-1) as number);
    constants.push({ name: `weights${i}`, shape: [weights.length, layer.length], values: weights.flat() });
    constants.push({ name: `biases${i}`, shape: [layer.length], values: biases });
    const isLast = i === network.length - 1;
    nodes.push({ operator: "Gemm", inputs: [`values${i}`, `weights${i}`, `biases${i}`], output: `sums${i}` });
    nodes.push({
      operator: isLast ? "Softmax" : "Relu",
      inputs: [`sums${i}`],
      output: isLast ? "p" : `values${i + 1}`,
    });
  });
  const input = { name: "x", shape: ["N", means.length] };
  const output = { name: "p", shape: ["N", SPECIES.length] };
  return encodeOnnxModel({ name: `iris-${version}`, input, output, constants, nodes });
}

if (import.meta.main) {
  for (const { version, accuracy, onnx } of trainModels()) {
    writeFileSync(new URL(`./${version}.onnx`, import.meta.url), onnx);
    console.log(
      `${version}.onnx: ${(100 * accuracy).toFixed(0)} % of the held-out flowers are named rightly, ${onnx.length} bytes`,
    );
  }
}
