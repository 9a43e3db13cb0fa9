/**
 * A trained model as a backend. Takes four lengths in centimetres, answers the species with the
 * probability of each. Requests that arrive together run through the model together.
 */
import { fileURLToPath } from "node:url";
import { batch, context, HttpError, type ServeRequest } from "maitred";
import { InferenceSession, Tensor } from "onnxruntime-node";
import * as z from "zod";
import { SPECIES, type Species } from "./dataset.ts";

/** Sepal length, sepal width, petal length, petal width. */
const LengthsCm = z.array(z.number().min(0).max(100)).length(4);
const HINT =
  'expected four lengths in centimetres (0 to 100): [5.1, 3.5, 1.4, 0.2] or { "features": [5.1, 3.5, 1.4, 0.2] }';
/** A row, bare or named. */
export const Input = z.union([LengthsCm, z.object({ features: LengthsCm })], { error: HINT });

export interface Prediction {
  readonly species: Species;
  readonly probabilities: Readonly<Record<Species, number>>;
}

export class Iris {
  readonly #path: string;
  #session!: InferenceSession;

  /** `path` of the ONNX file, seen from this file. */
  constructor(path: string) {
    this.#path = fileURLToPath(new URL(path, import.meta.url));
  }

  async start() {
    // The runtime reports its use to its maker unless it is told not to before the first session.
    process.env["ORT_DISABLE_TELEMETRY"] ??= "1";
    this.#session = await InferenceSession.create(this.#path, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  }

  async close() {
    await this.#session.release();
  }

  async call(request: ServeRequest) {
    const input = await request.json(Input);
    const prediction = await this.predict(Array.isArray(input) ? input : input.features);
    return { ...prediction, version: context().backendTag };
  }

  /** One row in, one prediction out; up to 16 rows share a run. A bad row fails alone. */
  predict = batch(
    async (rows: number[][]): Promise<(Prediction | Error)[]> => {
      const isGood = rows.map((row) => LengthsCm.safeParse(row).success);
      const values = rows.flatMap((row, i) => (isGood[i] ? row : [0, 0, 0, 0]));
      const outputs = await this.#session.run({ x: new Tensor("float32", values, [rows.length, 4]) });
      const p = [...(outputs["p"]!.data as Float32Array)];
      return rows.map((_, i) => (isGood[i] ? toPrediction(p.slice(3 * i, 3 * i + 3)) : new HttpError(422, HINT)));
    },
    { maxBatchSize: 16, batchWaitTimeoutMs: 2 },
  );
}

function toPrediction([setosa = 0, versicolor = 0, virginica = 0]: readonly number[]): Prediction {
  const probabilities = { setosa, versicolor, virginica };
  const species = SPECIES.reduce((best, name) => (probabilities[name] > probabilities[best] ? name : best));
  return { species, probabilities };
}
