/**
 * Another program at the same instance: it calls the endpoints of rag.ts, adds a backend of its own and takes it away again.
 * `npx maitred run examples/composition/rag.ts` in one terminal, `node examples/composition/use.ts` in another.
 */
import { backend, serve } from "maitred";
import type rag from "./rag.ts";

type Scoring = typeof import("./scoring.ts");

await using client = await serve.connect<typeof rag>();

// The type of the app types its handles.
const [best] = await client.getHandle("search").search("may my dog come?");
console.log(best?.passage);
console.log(await client.getHandle("dimensions")({ q: "the tram" }));

const module = new URL("./scoring.ts", import.meta.url);
await client.createBackend("scoring", backend<Scoring>({ module, export: "*" }));
await client.createEndpoint("scoring", { backend: "scoring" });
const scoring = client.getHandle<Scoring>("scoring");
console.log(await scoring.score([1, 2, 3]));
for await (const share of scoring.sweep(4)) console.log(share);

await client.deleteEndpoint("scoring");
await client.deleteBackend("scoring");
