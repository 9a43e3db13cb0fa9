/** examples/llm-gateway and examples/hono: scripts that start an instance, ask it, and end it. */
import { expect, test } from "vitest";
import type { Chunk } from "../../examples/llm-gateway/gateway.ts";
import { spawnNode } from "../harness/command.ts";
import { useLab } from "../harness/lab.ts";

useLab("test");
const env = { PORT: "0" };

/** What one server-sent event adds to the answer. */
const wordOf = (data: string): string =>
  data === "[DONE]" ? data : (JSON.parse(data) as Chunk).choices.map(({ delta }) => delta.content).join("");

test("the gateway adds the key from its env file, streams the model's answer on, and lets the model go when nobody listens", async () => {
  const { status, stdout, stderr } = await spawnNode(["examples/llm-gateway/main.ts"], { env }).ended();
  expect({ status, stderr }).toMatchObject({ status: 0 });
  const said = (text: string) => text.replaceAll(/^data: (.*)\n\n/gm, (_event, data: string) => wordOf(data));
  expect(said(stdout).split("\n")).toEqual([
    "200 text/event-stream",
    "You asked: Is it late?[DONE]the client left, the model was let go",
    "You asked: Through a handle?",
    "You and let go by break",
    "query-cancelled",
    "You asked: Yes?",
    "You asked: Yes?",
    "",
  ]);
});

test("a Hono app answers over HTTP and through handle.fetch, and asks the model by a handle", async () => {
  const { status, stdout, stderr } = await spawnNode(["examples/hono/main.ts"], { env }).ended();
  expect({ status, stderr }).toMatchObject({ status: 0 });
  expect(stdout).toMatch(/^200 Hello, Ada!\n200 \{\n? *species: 'setosa'/);
});
