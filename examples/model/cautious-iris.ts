/** An Iris that says so when it is not sure. Shows the whole life of a class in a replica: each method says when it is called. */
import { context, HttpError, type ServeRequest } from "maitred";
import { SPECIES, type Species } from "../iris/dataset.ts";
import { Input, Iris, type Prediction } from "../iris/iris.ts";

export class CautiousIris {
  readonly #iris: Iris;
  #threshold = 0;

  /** First: with the backend's `args`. */
  constructor(path: string) {
    this.#iris = new Iris(path);
  }

  /** Once, before any query. */
  async start() {
    await this.#iris.start();
  }

  /** With the backend's `userConfig`: before the first query, and whenever it changes. */
  reconfigure(config: { threshold: number }) {
    this.#threshold = config.threshold;
  }

  /** Every few seconds; a throw says that this replica is ill. */
  async checkHealth() {
    await this.#iris.predict([5.1, 3.5, 1.4, 0.2]);
  }

  /** Last: after the last query. */
  async close() {
    await this.#iris.close();
  }

  /** The door: what HTTP and `handle(body)` reach. */
  async call(request: ServeRequest) {
    const input = await request.json(Input);
    const prediction = await this.predict(Array.isArray(input) ? input : input.features);
    return { ...prediction, version: context().backendTag };
  }

  /** A method: plain arguments and results, reached by `handle.predict(…)`. */
  async predict(lengthsCm: number[]): Promise<Prediction> {
    const prediction = await this.#iris.predict(lengthsCm);
    const probability = prediction.probabilities[prediction.species];
    if (probability >= this.#threshold) return prediction;
    throw new HttpError(422, `perhaps ${prediction.species}, but only with probability ${probability.toFixed(2)}`);
  }

  /** Typed arrays cross too: the bare probabilities, in the order of `SPECIES`. */
  async probabilities(lengthsCm: Float32Array): Promise<Float32Array> {
    const { probabilities } = await this.#iris.predict([...lengthsCm]);
    return Float32Array.from(SPECIES, (name) => probabilities[name]);
  }

  /** The species by how likely they are. A stream may also be handed out later. */
  async ranking(lengthsCm: number[]): Promise<AsyncIterable<Species>> {
    const guesses = this.guesses(lengthsCm);
    return (async function* () {
      for await (const { species } of guesses) yield species;
    })();
  }

  /** What a generator yields is a stream: the caller gets the first guess before the last is made. */
  async *guesses(lengthsCm: number[]): AsyncGenerator<{ species: Species; probability: number }> {
    const { probabilities } = await this.#iris.predict(lengthsCm);
    const names = [...SPECIES].sort((a, b) => probabilities[b] - probabilities[a]);
    for (const species of names) yield { species, probability: probabilities[species] };
  }
}
