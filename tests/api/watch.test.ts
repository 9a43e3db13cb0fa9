/** `maitred run --watch`: an edit is a deploy; one that is broken changes nothing. Under a steady stream of requests, none of which fails. */
import { expect, test } from "vitest";
import { CodeFolder } from "../harness/code-folder.ts";
import { type RunningCommand, spawnMaitred } from "../harness/command.ts";
import { ask } from "../harness/http.ts";
import { START_DEADLINE_MS, useLab } from "../harness/lab.ts";
import { isGood, startLoad } from "../harness/load.ts";
import { waitFor } from "../harness/wait-for.ts";

const lab = useLab("test");
const EDIT_DEADLINE_MS = 20_000;

const HANDLER = 'import { word } from "./word.ts";\nexport default (): string => word;\n';
const word = (text: string) => `export const word: string = ${JSON.stringify(text)};\n`;

const said = (command: RunningCommand, what: RegExp, deadlineMs = EDIT_DEADLINE_MS): Promise<RegExpExecArray> =>
  waitFor(
    `the command says ${what}`,
    () => what.exec(`${command.stdout()}${command.stderr()}`) ?? undefined,
    deadlineMs,
  ).catch((cause: unknown) => {
    throw new Error(`${command.stdout()}${command.stderr()}`, { cause });
  });

test("a changed file is deployed; what cannot be loaded or started is told in a line, and the version before serves", async () => {
  const folder = new CodeFolder(
    { "package.json": '{ "type": "module" }', "app.ts": HANDLER, "word.ts": word("one") },
    lab().folder("watched"),
  );
  const command = spawnMaitred(["run", `${folder.path}/app.ts`, "--watch", "--port", "0", "-i", lab().name("watched")]);
  const url = (await said(command, /(http:\/\/127\.0\.0\.1:\d+)/, START_DEADLINE_MS))[1]!;
  const answer = async () => (await ask(`${url}/`)).text;
  expect(await answer()).toBe("one");
  const load = startLoad({ url: `${url}/`, perSecond: 50 });

  folder.write({ "word.ts": word("two") });
  await waitFor("the new word", async () => (await answer()) === "two", EDIT_DEADLINE_MS);
  await said(command, /^deployed backend app$/m);

  folder.write({ "extra.ts": "export const extra: number = ;\n", "word.ts": `import "./extra.ts";\n${word("three")}` });
  const line = await said(command, /^not deployed (.+)$/m);
  expect(line[1]).toMatch(/extra\.ts.* The version before serves on\. \[module-syntax\]$/);
  expect(await answer()).toBe("two");

  // The file that was never loaded whole is watched too.
  folder.write({ "extra.ts": "export const extra: number = 1;\n" });
  await waitFor("the third word", async () => (await answer()) === "three", EDIT_DEADLINE_MS);

  folder.write({
    "app.ts": 'export default class { start() { throw new Error("no weights"); } call() { return "four"; } }\n',
  });
  await said(command, /^not deployed .*no weights.*\[goal-failed\]$/m);
  expect(await answer()).toBe("three");
  folder.write({ "app.ts": HANDLER, "word.ts": word("five") });
  await waitFor("the fifth word", async () => (await answer()) === "five", EDIT_DEADLINE_MS);

  expect((await load.stop()).filter((sent) => !isGood(sent))).toEqual([]);
  command.kill("SIGINT");
  expect(await command.ended()).toMatchObject({ status: 0 });
  await waitFor(
    "nothing is left",
    () =>
      lab()
        .leftovers()
        .filter((it) => !it.includes("watched/")).length === 0,
    10_000,
  );
}, 120_000);
