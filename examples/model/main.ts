/**
 * A model in two versions, from code: v1 answers, v2 first sees copies, then gets a tenth of the queries.
 * `node examples/model/main.ts` runs an instance for as long as this program lasts.
 */
import { backend, backendFrom, HttpError, serve } from "maitred";
import type { CautiousIris } from "./cautious-iris.ts";

type IrisModule = typeof import("./cautious-iris.ts");
const module = new URL("./cautious-iris.ts", import.meta.url);
const setosa = [5.1, 3.5, 1.4, 0.2];
const betweenTwo = [5.9, 3.2, 4.8, 1.8];

await using client = await serve.start({ http: { port: Number(process.env["PORT"] ?? 8000) } });

await client.createBackend(
  "iris:v1",
  backend<typeof CautiousIris>({ module, export: "CautiousIris", args: ["v1.onnx"] }),
  { numReplicas: 2, maxBatchSize: 16, userConfig: { threshold: 0.3 } },
);
// The same, and the name of the export is checked too.
await client.createBackend(
  "iris:v2",
  backendFrom<IrisModule>()({ module, export: "CautiousIris", args: ["v2.onnx"] }),
  { userConfig: { threshold: 0.3 } },
);
await client.createEndpoint("iris", { backend: "iris:v1", route: "/iris", methods: ["POST"] });
await client.shadowTraffic("iris", "iris:v2", 0.5);
// A call resolves when its goal is reached; this one does when it is saved, and the goal is waited for by its id.
const goal = await client.setTraffic("iris", { "iris:v1": 0.9, "iris:v2": 0.1 }, { wait: "saved" });
await client.waitForGoal(goal.id, { timeoutMs: 5_000 });

const response = await fetch(`${client.urls[0]}/iris`, { method: "POST", body: JSON.stringify(setosa) });
console.log("HTTP", response.status, await response.json());

const iris = client.getHandle<typeof CautiousIris>("iris");
console.log("method", (await iris.predict(setosa)).species);
console.log("door", (await iris({ features: setosa })).version.startsWith("iris:"));
// A canary: about a tenth of the queries. One key always goes the same way.
const versions = await Promise.all(Array.from({ length: 200 }, async () => (await iris({ features: setosa })).version));
console.log("canary", new Set(versions).size, versions.filter((version) => version === "iris:v2").length < 100);
const byKey = Array.from({ length: 20 }, async () => (await iris.options({ shardKey: "user-7" })(setosa)).version);
console.log("one key", new Set(await Promise.all(byKey)).size);
const bare = await iris.options({ shardKey: "user-7", timeoutMs: 2_000 }).probabilities(new Float32Array(setosa));
console.log("typed array", bare.length);
for await (const { species, probability } of iris.guesses(setosa)) {
  console.log("stream", species);
  if (probability > 0.5) break; // cancels it, down to the replica
}
for await (const species of iris.ranking(setosa)) console.log("ranked", species);
iris.guesses(setosa).cancel(); // a stream that nobody reads is let go
console.log("untyped", typeof (await client.getHandle("iris").invoke("predict", [setosa])));

// A new userConfig reaches running replicas; none is restarted.
for (const tag of ["iris:v1", "iris:v2"]) {
  await client.updateBackendConfig<typeof CautiousIris>(tag, { userConfig: { threshold: 0.999 } });
}
await iris.predict(betweenTwo).catch((error: unknown) => {
  console.log("not sure", error instanceof HttpError && error.status);
});
