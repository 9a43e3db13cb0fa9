/** examples/composition: handles inside replicas, and a second program at the same instance. */
import { beforeAll, describe, expect, test } from "vitest";
import { spawnNode } from "../harness/command.ts";
import { ask } from "../harness/http.ts";
import { useLab } from "../harness/lab.ts";
import { type ServedFile, serveFile } from "./serve-file.ts";

const lab = useLab("file");
let served: ServedFile;

beforeAll(async () => {
  served = await serveFile(lab(), "examples/composition/rag.ts");
});

describe("over HTTP", () => {
  test("a search asks two other backends and answers with the nearest passages, best first", async () => {
    const answer = await ask(`${served.url}/search`, { body: { q: "may my dog come?" } });
    const { requestId, found } = answer.json<{ requestId: string; found: { passage: string; score: number }[] }>();
    expect(found.map(({ passage }) => passage)).toEqual([
      "Dogs may come to the terrace, on a lead.",
      expect.any(String),
      expect.any(String),
    ]);
    expect(found.map(({ score }) => score)).toEqual(found.map(({ score }) => score).sort((a, b) => b - a));
    expect(requestId).toMatch(/\S/);
  });

  test("a function reaches a backend by a handle at module level", async () => {
    expect((await ask(`${served.url}/dimensions`, { body: { q: "the tram" } })).json()).toBe(512);
  });

  test("endpoints without a route are not reachable", async () => {
    expect((await ask(`${served.url}/embed`)).status).toBe(404);
  });
});

test("another program calls the app's endpoints, adds a module as a backend, and takes it away again", async () => {
  const program = spawnNode(["examples/composition/use.ts"], { env: { MAITRED_INSTANCE: served.instance } });
  const { status, stdout, stderr } = await program.ended();
  expect({ status, stdout, stderr }).toEqual({
    status: 0,
    stdout: "Dogs may come to the terrace, on a lead.\n512\n2\n0\n0.25\n0.5\n0.75\n",
    stderr: "",
  });
  const { backends, endpoints } = await served.status();
  expect(backends.map(({ tag }) => tag).sort()).toEqual(["dimensions:v1", "embed:v1", "rank:v1", "search:v1"]);
  expect(endpoints.map(({ tag }) => tag).sort()).toEqual(["dimensions", "embed", "rank", "search"]);
});
