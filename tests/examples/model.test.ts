/** examples/model: two versions of a model, a shadow and a canary, as a script. */
import { expect, test } from "vitest";
import { spawnNode } from "../harness/command.ts";
import { useLab } from "../harness/lab.ts";
import { waitFor } from "../harness/wait-for.ts";

const lab = useLab("test");

test("the script makes two versions, splits the traffic, asks in every way, and ends with its instance", async () => {
  const script = spawnNode(["examples/model/main.ts"], { env: { PORT: "0" } });
  const { status, stdout, stderr } = await script.ended();
  expect({ status, stderr }).toMatchObject({ status: 0 });
  expect(stdout).toMatch(/^HTTP 200 \{\n? *species: 'setosa'/);
  const answers = ["method setosa", "door true", "typed array 3", "stream setosa", "untyped object", "not sure 422"];
  expect(stdout.trimEnd().split("\n").slice(-answers.length)).toEqual(answers);
  await waitFor("nothing is left", () => lab().leftovers().length === 0, 5_000);
});
