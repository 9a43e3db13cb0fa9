/** examples/model: two versions of a model, a shadow and a canary, as a script. */
import { expect, test } from "vitest";
import { spawnNode } from "../harness/command.ts";
import { useLab } from "../harness/lab.ts";
import { nothingIsLeft } from "./serve-file.ts";

const lab = useLab("test");

// onnxruntime's usage reports leave files in the temporary folder, which is looked at here.
test("the script makes two versions, splits the traffic, asks in every way, and ends with its instance", async () => {
  const script = spawnNode(["examples/model/main.ts"], { env: { PORT: "0", ORT_DISABLE_TELEMETRY: "1" } });
  const { status, stdout, stderr } = await script.ended();
  expect({ status, stderr }).toMatchObject({ status: 0 });
  expect(stdout).toMatch(/^HTTP 200 \{\n? *species: 'setosa'/);
  const answers = [
    ...["method setosa", "door true", "canary 2 true", "one key 1", "typed array 3", "stream setosa"],
    ...["ranked setosa", "ranked versicolor", "ranked virginica", "untyped object", "not sure 422"],
  ];
  expect(stdout.trimEnd().split("\n").slice(-answers.length)).toEqual(answers);
  await nothingIsLeft(lab());
});
