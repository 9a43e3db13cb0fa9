/** examples/iris, as `npm start` serves it. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { ask, expectProblem } from "../harness/http.ts";
import { useLab } from "../harness/lab.ts";
import { type ServedFile, serveFile } from "./serve-file.ts";

const lab = useLab("file");
let served: ServedFile;
let iris: string;

beforeAll(async () => {
  served = await serveFile(lab(), "examples/iris/app.ts");
  iris = `${served.url}/iris`;
});

describe("POST /iris", () => {
  test.each([
    ["a bare row", "[5.1,3.5,1.4,0.2]", {}],
    ["a row with a content type", "[5.1,3.5,1.4,0.2]", { "content-type": "application/json" }],
    ["features", '{"features":[5.1,3.5,1.4,0.2]}', { "content-type": "application/json" }],
    ["what curl sends", '{"features":[5.1,3.5,1.4,0.2]}', { "content-type": "application/x-www-form-urlencoded" }],
  ])("answers %s with species, probabilities and version", async (_what, body, headers) => {
    const { status, headers: answered, text, json } = await ask(iris, { body, headers });
    expect([status, answered["content-type"]], text).toEqual([200, "application/json"]);
    expect(text).toMatch(
      /^\{"species":"setosa","probabilities":\{"setosa":[\d.e-]+,"versicolor":[\d.e-]+,"virginica":[\d.e-]+\},"version":"iris:v1"\}$/,
    );
    expect(json<{ probabilities: Record<string, number> }>().probabilities["setosa"]).toBeGreaterThan(0.8);
  });

  test("refuses a body that is not JSON (400) and one that is no flower (422)", async () => {
    expectProblem(await ask(iris, { body: "setosa?" }), { status: 400, code: "body-invalid" });
    expectProblem(await ask(iris, { body: "[1,2,3]" }), { status: 422, code: "body-schema" });
  });

  test("is the only method of the endpoint", async () => {
    const answer = await ask(iris, { method: "GET" });
    expectProblem(answer, { status: 405, code: "method-not-allowed" });
    expect(answer.headers.allow).toBe("POST");
  });
});

test("what to try is printed, with the URL that answers", () => {
  const lines = readFileSync("examples/iris/try.txt", "utf8").trim().split("\n");
  expect(lines).toHaveLength(3);
  for (const line of lines) expect(served.command.stdout()).toContain(`  ${line.replaceAll("$URL", served.url)}\n`);
});
