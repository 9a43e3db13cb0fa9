/**
 * Three backends that find a passage together: one turns text into vectors, one compares vectors, one knows the passages and asks
 * the other two. `npx maitred run examples/composition/rag.ts`, then `curl http://127.0.0.1:8000/search -d '{"q":"may my dog come?"}'`.
 */
import { context, defineApp, getHandle, type Handle, ref, type ServeRequest } from "maitred";

const PASSAGES = [
  "The kitchen takes orders until half past ten.",
  "Dogs may come to the terrace, on a lead.",
  "A table for more than six guests is booked a day ahead.",
  "There is no car park; the tram stops at the door.",
  "Every dish on the menu can be made without nuts.",
];
const DIMENSIONS = 512;

export class Embedder {
  /** One vector of length 1 for each text; texts that share parts of words point in similar directions. */
  async embed(texts: string[]): Promise<Float32Array[]> {
    return texts.map((text) => {
      const vector = new Float32Array(DIMENSIONS);
      for (const slot of trigramsOf(text).map(slotOf)) vector[slot]! += 1;
      const length = Math.hypot(...vector) || 1;
      return vector.map((value) => value / length);
    });
  }
}

export class Ranker {
  /** All documents, the most similar first. */
  rank(query: Float32Array, documents: Float32Array[]): { index: number; score: number }[] {
    return documents
      .map((document, index) => ({ index, score: document.reduce((sum, value, i) => sum + value * query[i]!, 0) }))
      .sort((a, b) => b.score - a.score);
  }
}

export class Search {
  readonly #embed: Handle<typeof Embedder>;
  readonly #rank: Handle<typeof Ranker>;
  readonly #topK: number;

  /** Where the app says `ref(…)`, a handle arrives. */
  constructor(embed: Handle<typeof Embedder>, rank: Handle<typeof Ranker>, topK: number) {
    this.#embed = embed;
    this.#rank = rank;
    this.#topK = topK;
  }

  async search(text: string) {
    const [query, ...passages] = await this.#embed.embed([text, ...PASSAGES]);
    const ranked = await this.#rank.options({ timeoutMs: 2_000 }).rank(query!, passages);
    return ranked.slice(0, this.#topK).map(({ index, score }) => ({ passage: PASSAGES[index]!, score }));
  }

  async call(request: ServeRequest<{ q: string }>) {
    const { q } = await request.json();
    return { requestId: context().requestId, found: await this.search(q) };
  }
}

/** The other way to a handle: at module level. It opens at its first call. */
const embed = getHandle<typeof Embedder>("embed");

/** A function as a backend: how many numbers the vector of a text has. */
export async function dimensions(request: ServeRequest<{ q: string }>) {
  const [vector] = await embed.embed([(await request.json()).q]);
  return vector!.length;
}

export default defineApp({
  backends: {
    "embed:v1": { run: Embedder, config: { numReplicas: 2 } },
    "rank:v1": { run: Ranker },
    "search:v1": { run: Search, args: [ref<typeof Embedder>("embed"), ref<typeof Ranker>("rank"), 3] },
    "dimensions:v1": { run: dimensions },
  },
  endpoints: {
    embed: { backend: "embed:v1" },
    rank: { backend: "rank:v1" },
    search: { backend: "search:v1", route: "/search" },
    dimensions: { backend: "dimensions:v1", route: "/dimensions" },
  },
});

/** `"tram"` → `["tra", "ram"]`. */
function trigramsOf(text: string): string[] {
  const letters = text.toLowerCase().replaceAll(/[^a-z]+/g, " ");
  return Array.from({ length: Math.max(0, letters.length - 2) }, (_, i) => letters.slice(i, i + 3));
}

function slotOf(trigram: string): number {
  let hash = 0;
  for (const letter of trigram) hash = (Math.imul(hash, 31) + letter.charCodeAt(0)) >>> 0;
  return hash % DIMENSIONS;
}
