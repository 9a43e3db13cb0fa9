/** examples/hello.ts: a function, by `maitred run` and by a client's handle. */
import { backend } from "maitred";
import { expect, test } from "vitest";
import type hello from "../../examples/hello.ts";
import { useLab } from "../harness/lab.ts";
import { nothingIsLeft, serveFile } from "./serve-file.ts";

const lab = useLab("test");

test("`maitred run` serves the function with one process of each kind until Ctrl-C, and leaves nothing behind", async () => {
  const { command, url, status } = await serveFile(lab(), "examples/hello.ts");

  const greeting = await fetch(`${url}/?name=Ada`);
  expect([greeting.status, greeting.headers.get("content-type")]).toEqual([200, "text/plain; charset=utf-8"]);
  expect(await greeting.text()).toBe("Hello, Ada!");
  expect(await (await fetch(`${url}/any/path`)).text()).toBe("Hello, world!");
  const kinds = (await status()).processes.map((process) => process.kind);
  expect(kinds.sort()).toEqual(["agent", "controller", "proxy", "replica"]);

  command.kill("SIGINT");
  const end = await command.ended();
  expect(end.status, end.stderr).toBe(0);
  await nothingIsLeft(lab());
});

test("a handle calls the function with a body, a query, or nothing", async () => {
  const { client } = await lab().start({ detached: false });
  const module = new URL("../../examples/hello.ts", import.meta.url);
  await client.createBackend("hello", backend<typeof hello>({ module }));
  await client.createEndpoint("hello", { backend: "hello" });

  const handle = client.getHandle<typeof hello>("hello");
  expect(await handle()).toBe("Hello, world!");
  expect(await handle({ any: 1 }, { query: { name: "Ada" } })).toBe("Hello, Ada!");
});
