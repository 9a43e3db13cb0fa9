// maitred/testing: local handles are typed as the real ones, and fit where those are wanted
import { type App, backend, type Backend, defineApp, type Handle, type ServeRequest } from "maitred";
import { localHandle, startLocal } from "maitred/testing";
import { Iris } from "./2-model/iris.ts";
import type app2 from "./2-model/app.ts";
import { Embedder, Ranker, Search } from "./5-composition/rag.ts";
import honoApp from "./4-hono/app.ts";

await using embed = localHandle(new Embedder());
(await embed.embed(["x"]))[0]!.length;
const search = localHandle(new Search(embed, localHandle(new Ranker()), 3));
(await search.search("x")).length;
(await search({ q: "x" })).length;
const byClass: Handle<typeof Iris> = localHandle(Iris, { args: ["v1.onnx"], config: { userConfig: { threshold: 1 } } });
(await byClass.predict([1])).species;
for await (const part of byClass.explain([1])) part.step.length;
const lazy = localHandle(backend<typeof Iris>({ module: "./iris.ts", export: "Iris", args: ["v1.onnx"] }));
(await lazy.options({ timeoutMs: 5 }).predict([1])).species;
const response: Response = await localHandle(honoApp).fetch("/api/flower");
void response;
const door = localHandle(async (r: ServeRequest<{ a: number }>) => (await r.json()).a);
(await door({ a: 1 })).toFixed();

declare const flowers: typeof app2;
await using server = await startLocal(flowers, { port: 0 });
server.url.length;
(await server.handle("iris").predict([1])).species;
(await server.handle("echo")({ a: 1 })).a.toFixed();
await using single = await startLocal(Iris, { args: ["v1.onnx"], host: "127.0.0.1" });
(await single.handle().predict([1])).species;
await using fake = await startLocal(defineApp({ backends: { e: { run: new Embedder() } }, endpoints: { embed: { backend: "e" } } }));
(await fake.handle("embed").embed([])).length;
declare const anyApp: App;
declare const anyBackend: Backend<typeof Iris>;
void anyApp; void startLocal(anyBackend);

// @ts-expect-error the constructor's arguments are missing
localHandle(Iris);
// @ts-expect-error … or of another type
localHandle(Iris, { args: [1] });
// @ts-expect-error an object is made already
localHandle(new Embedder(), { args: [1] });
// @ts-expect-error userConfig is typed by reconfigure
localHandle(Iris, { args: ["x"], config: { userConfig: { treshold: 1 } } });
// @ts-expect-error not a method
embed.embd([]);
// @ts-expect-error private by name
byClass._private();
// @ts-expect-error the app has no such endpoint
server.handle("irs");
// @ts-expect-error an app has its arguments inside
startLocal(flowers, { args: [1] });
// @ts-expect-error a handle of another class
new Search(localHandle(new Ranker()), localHandle(new Ranker()), 3);
