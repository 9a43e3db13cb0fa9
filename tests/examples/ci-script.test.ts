/** examples/ci-script: a deploy from a program, against an instance that runs. */
import { expect, test } from "vitest";
import { maitred, spawnNode } from "../harness/command.ts";
import { useLab } from "../harness/lab.ts";

const lab = useLab("test");

test("the script deploys the app, asks it, and says nothing of changes when it is run again", async () => {
  expect(lab().leftovers()).toEqual([]);
  expect(await maitred(["start", "--instance", "prod", "--port", "0"])).toMatchObject({ status: 0 });
  const run = async () => {
    const script = spawnNode(["examples/ci-script/deploy.ts"], { env: { ORT_DISABLE_TELEMETRY: "1" } });
    const { status, stdout, stderr } = await script.ended();
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return stdout.trimEnd().split("\n");
  };
  const first = await run();
  for (const line of ["create backend iris:v1", "create endpoint iris", "publish endpoint iris"]) {
    expect(first.filter((it) => it.startsWith(line))).not.toEqual([]);
  }
  expect(first.slice(-2)).toEqual([expect.stringMatching(/^deployed \w+ reached$/), "answers setosa"]);
  expect(await run()).toEqual(first.slice(-2).map((line) => expect.stringMatching(line.split(" ")[0] ?? "")));
  expect(await maitred(["shutdown", "--yes", "--instance", "prod"])).toMatchObject({ status: 0 });
}, 60_000);
