/** `node examples/hono/main.ts`: a Hono app and the model that it asks, each in its own replica. */
import { backend, serve } from "maitred";
import type { Iris } from "../iris/iris.ts";
import type app from "./app.ts";

await using client = await serve.start({ http: { port: Number(process.env["PORT"] ?? 8000) } });

await client.createBackend(
  "iris:v2",
  backend<typeof Iris>({ module: new URL("../iris/iris.ts", import.meta.url), export: "Iris", args: ["v2.onnx"] }),
);
await client.createEndpoint("iris", { backend: "iris:v2" });
await client.createBackend("api", backend<typeof app>({ module: new URL("./app.ts", import.meta.url) }));
// The app sees the URL as it came, `/api` included.
await client.createEndpoint("api", { backend: "api", route: "/api/*" });

const overHttp = await fetch(`${client.urls[0]}/api/hello/Ada`);
console.log(overHttp.status, await overHttp.text());
const throughHandle = await client.getHandle<typeof app>("api").fetch("/api/flower");
console.log(throughHandle.status, await throughHandle.json());
