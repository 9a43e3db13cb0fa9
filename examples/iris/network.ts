/**
 * A network of dense layers, small enough to read: relu between layers, softmax at the end, trained
 * by gradient descent on one example at a time. Values are never changed in place, and every random
 * number comes from the seed: the same call gives the same network.
 */

export type Vector = readonly number[];
/** One row per neuron: a weight for each input, then the bias. */
type Layer = readonly Vector[];
export type Network = readonly Layer[];

export interface Example {
  readonly input: Vector;
  /** The index of the right output. */
  readonly label: number;
}

export interface Training {
  /** Numbers of inputs, neurons of each hidden layer, outputs: `[4, 16, 3]`. */
  readonly sizes: readonly number[];
  /** How often every example is seen. */
  readonly epochs: number;
  readonly learningRate: number;
  readonly seed: number;
}

export function train(examples: readonly Example[], training: Training): Network {
  const random = randomNumbers(training.seed);
  let network = initialNetwork(training.sizes, random);
  for (let epoch = 0; epoch < training.epochs; epoch++) {
    for (const example of shuffle(examples, random)) {
      network = learn(network, example.input, example.label, training.learningRate).network;
    }
  }
  return network;
}

/** The probability of each output. */
export function predict([layer = [], ...rest]: Network, input: Vector): Vector {
  const sums = weightedSums(layer, input);
  return rest.length === 0 ? softmax(sums) : predict(rest, relu(sums));
}

/** One step down the gradient of the cross-entropy: the improved network, and the error seen at its input. */
function learn(
  [layer = [], ...rest]: Network,
  input: Vector,
  label: number,
  rate: number,
): { network: Network; error: Vector } {
  const sums = weightedSums(layer, input);
  let after: Network = [];
  let error: Vector;
  if (rest.length === 0) {
    error = softmax(sums).map((probability, output) => probability - (output === label ? 1 : 0));
  } else {
    const learnt = learn(rest, relu(sums), label, rate);
    after = learnt.network;
    error = zip(learnt.error, sums, (e, sum) => (sum > 0 ? e : 0));
  }
  const improved = zip(layer, error, (neuron, e) =>
    zip(neuron, [...input, 1], (weight, value) => weight - rate * e * value),
  );
  const inputError = input.map((_, i) => sumOf(zip(layer, error, (neuron, e) => (neuron[i] as number) * e)));
  return { network: [improved, ...after], error: inputError };
}

function initialNetwork(sizes: readonly number[], random: () => number): Network {
  return sizes.slice(1).map((neurons, i) => {
    const inputs = sizes[i] as number;
    const weight = () => (random() * 2 - 1) / Math.sqrt(inputs);
    return Array.from({ length: neurons }, () => [...Array.from({ length: inputs }, weight), 0]);
  });
}

const weightedSums = (layer: Layer, input: Vector) =>
  layer.map((neuron) => sumOf(zip(neuron, [...input, 1], (weight, value) => weight * value)));
const relu = (values: Vector) => values.map((value) => Math.max(0, value));
const sumOf = (values: Vector) => values.reduce((sum, value) => sum + value, 0);
const zip = <A, B, C>(as: readonly A[], bs: readonly B[], join: (a: A, b: B) => C): C[] =>
  as.map((a, i) => join(a, bs[i] as B));

function softmax(values: Vector): Vector {
  const largest = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - largest));
  const sum = sumOf(powers);
  return powers.map((power) => power / sum);
}

/** Fisher-Yates. */
function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const shuffled = [...items];
  for (let i = shuffled.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [shuffled[i], shuffled[j]] = [shuffled[j] as T, shuffled[i] as T];
  }
  return shuffled;
}

/** Numbers in 0..1 by a linear congruential generator (constants: Numerical Recipes). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
