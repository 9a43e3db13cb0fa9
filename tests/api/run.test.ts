/** `maitred run`: an app file served in the foreground, by an instance that ends with the command. */
import { expect, test } from "vitest";
import { SIGNAL_ECHO_MS } from "../../src/model/limits.ts";
import type { Status } from "../../src/model/status.ts";
import { CodeFolder } from "../harness/code-folder.ts";
import { expectRefusal, maitred, type RunningCommand, spawnMaitred } from "../harness/command.ts";
import { fixture } from "../harness/echo.ts";
import { ask } from "../harness/http.ts";
import { START_DEADLINE_MS, useLab } from "../harness/lab.ts";
import { killAndWait } from "../harness/processes.ts";
import { waitFor } from "../harness/wait-for.ts";

const lab = useLab("test");
const GONE_DEADLINE_MS = 5_000;

const baseUrlOf = async (command: RunningCommand): Promise<string> => {
  const found = await waitFor(
    "the command says where it answers",
    () => /(http:\/\/127\.0\.0\.1:\d+)/.exec(command.stdout())?.[1],
    START_DEADLINE_MS,
  ).catch((cause: unknown) => {
    throw new Error(`${command.stdout()}${command.stderr()}`, { cause });
  });
  return found;
};

const nothingLeft = (): Promise<true> =>
  waitFor(
    "nothing is left",
    () => {
      const left = lab().leftovers();
      if (left.length > 0) throw new Error(left.join("\n"));
      return true;
    },
    GONE_DEADLINE_MS,
  );

test.each(["SIGINT", "SIGTERM"] as const)(
  "a function is served until %s, which finishes open requests and erases everything",
  async (signal) => {
    const command = spawnMaitred([
      "run",
      fixture("apps/slow-hello.ts").pathname,
      "--port",
      "0",
      "--instance",
      lab().name("hello"),
    ]);
    const url = await baseUrlOf(command);
    expect(await ask(`${url}/any/path?name=fish`)).toMatchObject({ status: 200, text: "hello fish" });

    const open = ask(`${url}/?waitMs=1000`);
    await waitFor("the open request runs", async () => (await ask(`${url}/?count=1`)).text !== "0", 5_000);
    command.kill(signal);
    expect(await open).toMatchObject({ status: 200, text: "hello world" });
    expect(await command.ended()).toMatchObject({ status: 0 });
    await nothingLeft();
  },
  40_000,
);

test("the terminal shows what user code prints and throws, in short; the logs have the rest while it runs", async () => {
  const name = lab().name("picky");
  const command = spawnMaitred(["run", fixture("apps/says-and-throws.ts").pathname, "--port", "0", "--instance", name]);
  const url = await baseUrlOf(command);
  expect((await ask(`${url}/`)).status).toBe(500);
  await waitFor("the failure is shown", () => command.stderr().includes("handler-failed"), 5_000);
  expect(command.stdout()).toMatch(/^\[says-and-throws#\d+\] asked for \/$/m);
  expect(command.stderr()).toMatch(
    /^[\d:.]+ error handler-failed process=says-and-throws#\d+ requestId=\S+ .*error="RangeError: too much \(\/.*\.ts:\d+:\d+\)"\n$/,
  );
  const { stdout } = await maitred(["logs", "says-and-throws", "--instance", name]);
  expect(stdout).toContain("| asked for /\n");
  expect(stdout).toMatch(/"event":"handler-failed".*\\n +at /);
  command.kill("SIGTERM");
  expect(await command.ended()).toMatchObject({ status: 0 });
  await nothingLeft();
}, 40_000);

test("who stops its instance from elsewhere ends the command too, which is no failure", async () => {
  const name = lab().name("stopped");
  const command = spawnMaitred(["run", fixture("apps/hello.ts").pathname, "--port", "0", "--instance", name]);
  const url = await baseUrlOf(command);
  await waitFor("it says what to try", () => command.stdout().includes("Ctrl-C"), 5_000);
  expect(command.stdout()).toMatch(/^ +http\S+ +hello, all$/m);
  expect(command.stdout()).toContain(`curl ${url}/\n`);
  expect(await maitred(["stop", "--instance", name])).toMatchObject({ status: 0 });
  expect(await command.ended()).toMatchObject({ status: 0, stderr: "ended: somebody has stopped the instance\n" });
  await nothingLeft();
}, 40_000);

test("one Ctrl-C that the parent forwards or escalates at once is one signal: open requests are finished", async () => {
  const file = fixture("apps/slow-hello.ts").pathname;
  const command = spawnMaitred(["run", file, "--port", "0", "--instance", lab().name("hello")]);
  const url = await baseUrlOf(command);
  const open = ask(`${url}/?waitMs=1000`);
  await waitFor("the open request runs", async () => (await ask(`${url}/?count=1`)).text !== "0", 5_000);
  for (const signal of ["SIGINT", "SIGTERM", "SIGINT"] as const) command.kill(signal);
  expect(await open).toMatchObject({ status: 200, text: "hello world" });
  const { status, stderr } = await command.ended();
  expect(status).toBe(0);
  expect(stderr).toMatch(/^\nSIG(?:INT|TERM): finishing open requests; once more to end at once\n$/);
  await nothingLeft();
}, 40_000);

test("a second signal ends it at once, and nothing is left either", async () => {
  const command = spawnMaitred([
    "run",
    fixture("apps/slow-hello.ts").pathname,
    "--port",
    "0",
    "--instance",
    lab().name("hello"),
  ]);
  const url = await baseUrlOf(command);
  const open = ask(`${url}/?waitMs=20000`).catch(() => undefined);
  await waitFor("the open request runs", async () => (await ask(`${url}/?count=1`)).text !== "0", 5_000);
  command.kill("SIGINT");
  await waitFor("the first signal is seen", () => command.stderr().includes("once more"), 5_000);
  const seenAt = performance.now();
  await waitFor("no echo of it can come any more", () => performance.now() - seenAt > SIGNAL_ECHO_MS, 5_000);
  command.kill("SIGINT");
  expect(await command.ended(5_000)).toMatchObject({ status: 1 });
  await open;
  await waitFor("nothing is left", () => lab().leftovers().length === 0, 15_000);
}, 40_000);

test("a signal while the app still starts ends the command cleanly, with no error and nothing left", async () => {
  const name = lab().name("slow");
  const command = spawnMaitred(["run", fixture("apps/slow-start.ts").pathname, "--port", "0", "--instance", name]);
  await waitFor(
    "its replica is starting",
    async () => {
      const status = await maitred(["status", "--json", "--instance", name]);
      return status.status === 0 && status.json<Status>().processes.some(({ kind }) => kind === "replica");
    },
    START_DEADLINE_MS,
  );
  command.kill("SIGINT");
  const { status, stderr } = await command.ended();
  expect(status).toBe(0);
  expect(stderr).not.toMatch(/^error/m);
  await nothingLeft();
}, 40_000);

test("a start that does not end is told of while it goes on, its first failure at once", async () => {
  const file = fixture("apps/never-starts.ts").pathname;
  const command = spawnMaitred(["run", file, "--port", "0", "--instance", lab().name("never")]);
  await waitFor(
    "the first failed attempt is told",
    () => /^never#\d+ did not start \(attempt 1 of 2\); it is tried again: .*6000 ms/m.test(command.stderr()),
    START_DEADLINE_MS,
  );
  expect(command.stderr()).toMatch(/^never#\d+ is still starting \([56] s; limit 6 s, attempt 1 of 2\) …$/m);
  command.kill("SIGINT");
  expect(await command.ended()).toMatchObject({ status: 0 });
  await nothingLeft();
}, 60_000);

test("a signal while the file is still imported ends the command cleanly, and its probe with it", async () => {
  const imported = fixture("apps/endless-import.ts").pathname;
  const command = spawnMaitred(["run", imported, "--port", "0", "--instance", lab().name("import")]);
  await waitFor("the file is being imported", () => command.stderr().includes("imported for ever"), START_DEADLINE_MS);
  command.kill("SIGINT");
  const { status, stderr } = await command.ended();
  expect({ status, stderr }).toEqual({
    status: 0,
    stderr: "imported for ever\n\nSIGINT: ending; once more to end at once\n",
  });
  await nothingLeft();
}, 40_000);

test("kill -9 while the file is still imported takes the probe along, which user code keeps busy", async () => {
  const imported = fixture("apps/endless-import.ts").pathname;
  const command = spawnMaitred(["run", imported, "--port", "0", "--instance", lab().name("import")]);
  await waitFor("the file is being imported", () => command.stderr().includes("imported for ever"), START_DEADLINE_MS);
  command.kill("SIGKILL");
  await nothingLeft();
}, 40_000);

test.each([
  ["endless-import.ts", "2s", /endless-import\.ts did not serve within 2 s .*import had not ended/],
  ["slow-start.ts", "4s", /slow-start\.ts did not serve within 4 s .*not everything was ready \(.*#\d+\)/],
] as const)(
  "--timeout bounds the whole start of %s; then nothing of it goes on",
  async (file, timeout, says) => {
    const args = ["--port", "0", "--timeout", timeout, "--instance", lab().name("late")];
    const { status, stdout, stderr } = await maitred(["run", fixture(`apps/${file}`).pathname, ...args]);
    expect({ status, stdout }).toEqual({ status: 3, stdout: "" });
    expect(stderr).toMatch(says);
    expect(stderr).toMatch(/\[run-timeout\]\n$/);
    await nothingLeft();
  },
  40_000,
);

test("run needs a proxy", async () => {
  const refused = await maitred(["run", fixture("apps/hello.ts").pathname, "--proxies", "0"]);
  expect(expectRefusal(refused, { status: 2, code: "usage" })).toMatch(/maitred start --proxies 0/);
});

test("PORT and HOST are the environment's way to say where, and a flag goes before them", async () => {
  const env = { PORT: "0", HOST: "localhost" };
  const args = ["run", fixture("apps/hello.ts").pathname, "--host", "127.0.0.1", "--instance", lab().name("hello")];
  const command = spawnMaitred(args, { env });
  expect(await baseUrlOf(command)).not.toMatch(/:8000$/);
  command.kill("SIGTERM");
  expect(await command.ended()).toMatchObject({ status: 0 });
  await nothingLeft();
}, 40_000);

test("replicas load the folder as it is when they start, and status names those whose code has changed since", async () => {
  const folder = new CodeFolder(
    {
      "package.json": '{ "type": "module" }',
      "app.ts": 'import { word } from "./word.ts"; export default () => word;',
    },
    lab().folder("code"),
  );
  folder.write({ "word.ts": 'export const word = "before";' });
  const name = lab().name("edited");
  const command = spawnMaitred(["run", `${folder.path}/app.ts`, "--port", "0", "--instance", name]);
  const url = await baseUrlOf(command);
  const status = async () => (await maitred(["status", "--json", "--instance", name])).json<Status>();
  const replica = async () =>
    (await status()).processes.find(({ kind, state }) => kind === "replica" && state === "ready");
  // A replica says what it has loaded a moment after it is ready.
  const loaded = await waitFor(
    "it says what it has loaded",
    async () => (await replica())?.loadedDigest,
    START_DEADLINE_MS,
  );
  expect((await status()).backends).toMatchObject([{ codeFrom: "folder", digest: loaded }]);
  expect((await status()).backends[0]).not.toHaveProperty("drift");

  folder.write({ "word.ts": 'export const word = "after";' });
  const first = await replica();
  await killAndWait(first!.pid!);
  await waitFor("it runs again", async () => ((await replica())?.pid ?? first!.pid) !== first!.pid, START_DEADLINE_MS);
  expect(await ask(url)).toMatchObject({ text: "after" });
  const sentence =
    /replica app#\d+ runs other code \((\w{8})\) than app was created with \((\w{8})\): the folder has changed since\./;
  const drift = await waitFor("status names it", async () => (await status()).backends[0]?.drift, START_DEADLINE_MS);
  expect(drift).toEqual([expect.stringMatching(sentence)]);
  const shown = (await maitred(["status", "--instance", name])).stdout;
  expect(shown).toMatch(sentence);
  expect(shown).toMatch(/app +1\/1 +\w{8} in folder +reached/);
  command.kill("SIGINT");
  await command.ended();
}, 60_000);
