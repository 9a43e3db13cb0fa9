/** examples/llm-gateway and examples/hono: scripts that start an instance, ask it, and end it. */
import { expect, test } from "vitest";
import { spawnNode } from "../harness/command.ts";
import { useLab } from "../harness/lab.ts";

useLab("test");
const env = { PORT: "0" };

test("the gateway adds the key from its env file and passes the model's answer on", async () => {
  const { status, stdout, stderr } = await spawnNode(["examples/llm-gateway/main.ts"], { env }).ended();
  expect({ status, stderr }).toMatchObject({ status: 0 });
  expect(stdout).toMatch(/^200 \{/);
  expect(stdout).toContain("You asked: Is it late?");
});

test("a Hono app answers over HTTP and through handle.fetch, and asks the model by a handle", async () => {
  const { status, stdout, stderr } = await spawnNode(["examples/hono/main.ts"], { env }).ended();
  expect({ status, stderr }).toMatchObject({ status: 0 });
  expect(stdout).toMatch(/^200 Hello, Ada!\n200 \{\n? *species: 'setosa'/);
});
