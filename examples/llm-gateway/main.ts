/**
 * `node examples/llm-gateway/main.ts`: a stand-in for the model, the gateway before it, and questions over HTTP and by a handle, some of
 * which nobody waits for to the end: then the model is let go.
 */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { backend, ServeError, serve } from "maitred";
import type { Gateway } from "./gateway.ts";
import { createUpstream } from "./upstream.ts";

let letGo: () => void = () => {};
const nextLetGo = () =>
  new Promise<void>((resolve) => {
    letGo = resolve;
  });

const upstream = createUpstream("not-a-secret", () => letGo()).listen(0, "127.0.0.1");
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

  const ask = (content: string, signal: AbortSignal | null = null) =>
    fetch(`${client.urls[0]}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ model: "echo", messages: [{ role: "user", content }] }),
      signal,
    });

  const response = await ask("Is it late?");
  console.log(response.status, response.headers.get("content-type"));
  for await (const events of response.body!.pipeThrough(new TextDecoderStream())) process.stdout.write(events);

  // A client that leaves: the gateway's `context().signal` aborts its own request to the model.
  const leaving = new AbortController();
  const heardOverHttp = nextLetGo();
  const long = "word ".repeat(200);
  await (await ask(long, leaving.signal)).body!.getReader().read();
  leaving.abort();
  await heardOverHttp;
  console.log("the client left, the model was let go");

  const llm = client.getHandle<typeof Gateway>("chat");
  for await (const chunk of llm.generate("Through a handle?")) process.stdout.write(chunk.choices[0]!.delta.content);
  process.stdout.write("\n");

  const heardByBreak = nextLetGo();
  for await (const chunk of llm.generate(long)) {
    process.stdout.write(chunk.choices[0]!.delta.content);
    break; // cancels it, down to the model
  }
  await heardByBreak;
  console.log("and let go by break");

  const stop = new AbortController();
  const heardBySignal = nextLetGo();
  try {
    for await (const _ of llm.options({ signal: stop.signal }).generate(long)) stop.abort();
  } catch (error) {
    console.log(error instanceof ServeError && error.code);
  }
  await heardBySignal;

  // The door: whole, or as a stream, as it is asked.
  const messages = [{ role: "user", content: "Yes?" }];
  const answer = await llm({ model: "echo", stream: false, messages });
  if ("choices" in answer) console.log(answer.choices[0]?.message.content);
  const chunks = await llm({ model: "echo", messages });
  if (!("choices" in chunks)) for await (const chunk of chunks) process.stdout.write(chunk.choices[0]!.delta.content);
  process.stdout.write("\n");
}
upstream.close();
