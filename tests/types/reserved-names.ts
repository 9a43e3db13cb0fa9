// names that a class may use and a typed handle does not offer: they mean something else on every object or handle
import type { Handle } from "maitred";
declare class Chain { invoke(text: string): Promise<string>; toJSON(): object; options(): string; run(text: string): Promise<string> }
declare const chain: Handle<typeof Chain>;
(await chain.run("x")).length;
chain.options({ timeoutMs: 5 }).run("x");
// @ts-expect-error `invoke` is the untyped handle's way to call a method by name
chain.invoke("x");
// @ts-expect-error printing a handle is not a query
chain.toJSON();
// @ts-expect-error the handle's own `options` takes call options
chain.options();
