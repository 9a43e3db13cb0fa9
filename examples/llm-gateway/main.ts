/** `node examples/llm-gateway/main.ts`: a stand-in for the model, the gateway before it, and two questions: over HTTP, by a handle. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { backend, serve } from "maitred";
import type { Gateway } from "./gateway.ts";
import { createUpstream } from "./upstream.ts";

const upstream = createUpstream("not-a-secret").listen(0, "127.0.0.1");
await once(upstream, "listening");
const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/v1`;

{
  await using client = await serve.start({ http: { port: Number(process.env["PORT"] ?? 8000) } });
  await client.createBackend(
    "llm:v1",
    backend<typeof Gateway>({
      module: new URL("./gateway.ts", import.meta.url),
      export: "Gateway",
      args: [url],
    }),
    {
      numReplicas: 2,
      maxConcurrentQueries: 64,
      envFile: fileURLToPath(new URL("./llm.env", import.meta.url)),
      gracefulShutdownTimeoutMs: 120_000,
    },
  );
  await client.createEndpoint("chat", {
    backend: "llm:v1",
    route: "/v1/chat/completions",
    methods: ["POST"],
    timeoutMs: 300_000,
  });

  const response = await fetch(`${client.urls[0]}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "echo", messages: [{ role: "user", content: "Is it late?" }] }),
  });
  console.log(response.status, response.headers.get("content-type"));
  for await (const events of response.body!.pipeThrough(new TextDecoderStream())) process.stdout.write(events);

  const llm = client.getHandle<typeof Gateway>("chat");
  for await (const chunk of llm.generate("Through a handle?")) process.stdout.write(chunk.choices[0]!.delta.content);
  process.stdout.write("\n");
}
upstream.close();
