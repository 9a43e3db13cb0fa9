/**
 * What `deploy` and `plan` of an app file promise, by the command line on real processes. The suite runs on a healthy instance and on one
 * whose controller dies after half of its saves: the results are the same.
 */
import { beforeAll, describe, expect, test } from "vitest";
import type { Status } from "../../src/model/status.ts";
import { settled } from "../harness/census.ts";
import { expectRefusal, maitred } from "../harness/command.ts";
import { writeFlowers } from "../harness/flowers-file.ts";
import { ask } from "../harness/http.ts";
import { type Started, type StartInLab, useLab } from "../harness/lab.ts";

/** Replicas start and end beside the machine's other tests. */
const STEP_MS = 60_000;

export const describeDeploys = (options: Pick<StartInLab, "env">): void => {
  const lab = useLab("file");
  let instance: Started;
  beforeAll(async () => {
    instance = await lab().start(options);
  }, 60_000);

  const status = (): Promise<Status> => instance.status();
  const backend = async (tag: string) => (await status()).backends.find((it) => it.tag === tag);
  const pids = async (tag: string) =>
    (await settled(lab(), instance)).processes.filter(({ name }) => name.startsWith(`${tag}#`)).map(({ pid }) => pid);

  describe("an app file", () => {
    test(
      "is planned, then deployed, and is nothing to do the second time",
      async () => {
        const file = writeFlowers(lab(), { version: "one" });
        const planned = await maitred(["plan", file]);
        expect(planned).toMatchObject({ status: 0, stderr: "" });
        for (const line of [/create backend +v1 +it is new and wants 2 replicas/, /start replica +v1#\d+ /]) {
          expect(planned.stdout).toMatch(line);
        }
        expect((await status()).backends).toEqual([]);

        const deployed = await maitred(["deploy", file]);
        expect(deployed).toMatchObject({ status: 0, stderr: "" });
        expect(deployed.stdout).toMatch(/^deployed flowers goal \w+\n/);
        expect(deployed.stdout).toMatch(/created +backend v1\n +created +backend v2\n +created +endpoint flowers\n$/);
        expect((await ask(`${instance.url}/flowers`)).json()).toMatchObject({ model: "one" });
        expect(await backend("v1")).toMatchObject({ replicas: { wanted: 2, running: 2 } });

        expect((await maitred(["plan", file])).stdout).toMatch(/^nothing to do/);
        const again = await maitred(["deploy", file, "--json"]);
        expect(again.json()).toMatchObject({ state: "reached", changes: [] });
        expect((await maitred(["goal", "list"])).stdout).not.toContain("#");
      },
      STEP_MS,
    );

    test(
      "keeps what was changed by hand where the file says the same as before",
      async () => {
        await maitred(["traffic", "set", "flowers", "v1=90%", "v2=10%"]);
        await maitred(["backend", "scale", "v2", "2"]);
        const done = await maitred(["deploy", writeFlowers(lab(), { version: "one", numReplicas: 1 }), "--json"]);
        expect(done.json()).toMatchObject({ changes: [{ change: "update", part: { kind: "backend", tag: "v1" } }] });
        expect((await status()).endpoints[0]?.traffic).toEqual({ v1: 0.9, v2: 0.1 });
        expect([await backend("v1"), await backend("v2")]).toMatchObject([
          { replicas: { running: 1 } },
          { replicas: { running: 2 } },
        ]);
      },
      STEP_MS,
    );

    test(
      "with code that fails leaves the old replicas serving, and says why; the file before it rolls forward",
      async () => {
        const before = await pids("v1");
        const failed = await maitred([
          "deploy",
          writeFlowers(lab(), { version: "bad", numReplicas: 1, failsAt: "start" }),
        ]);
        expect(expectRefusal(failed, { status: 1, code: "goal-failed" })).toContain("bad has no weights");
        expect(await pids("v1")).toEqual(expect.arrayContaining(before));
        const answers = await Promise.all(Array.from({ length: 20 }, () => ask(`${instance.url}/flowers`)));
        expect(
          new Set(answers.map((answer) => `${answer.status} ${answer.json<{ model: string }>().model}`)),
        ).toSatisfy((seen: Set<string>) => seen.has("200 one") && [...seen].every((it) => /^200 (one|two)$/.test(it)));
        const explained = await maitred(["explain", "v1"]);
        expect(explained.stdout).toContain("the roll-out stopped");

        const back = await maitred(["deploy", writeFlowers(lab(), { version: "one", numReplicas: 1 })]);
        expect(back).toMatchObject({ status: 0, stderr: "" });
        const after = await pids("v1");
        expect(after).toHaveLength(1);
        expect(after).not.toEqual(before);
      },
      STEP_MS,
    );
  });
};
