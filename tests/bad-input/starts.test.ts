/** Instances that cannot start: a port or a state folder that is not to be had. The command says so and leaves nothing behind. */
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { serve } from "../../src/index.ts";
import { stateFiles } from "../../src/model/places.ts";
import { SCHEMA_VERSION } from "../../src/model/records.ts";
import { BIN, expectRefusal, maitred, spawnNode } from "../harness/command.ts";
import { fixture } from "../harness/echo.ts";
import { useLab } from "../harness/lab.ts";
import { waitFor } from "../harness/wait-for.ts";

const lab = useLab("test");
const GONE_DEADLINE_MS = 5_000;

const nothingLeft = (): Promise<true> =>
  waitFor(
    "nothing is left behind",
    () => {
      const left = lab().leftovers();
      if (left.length > 0) throw new Error(left.join("\n"));
      return true;
    },
    GONE_DEADLINE_MS,
  );

const listen = async (): Promise<{ readonly port: number; readonly server: Server }> => {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  return { server, port: typeof address === "object" && address !== null ? address.port : 0 };
};

test.each([
  ["start", (name: string, port: number) => ["start", "--instance", name, "--port", `${port}`]],
  [
    "start --api",
    (name: string, port: number) => ["start", "--instance", name, "--port", "0", "--api", `127.0.0.1:${port}`],
  ],
  [
    "run",
    (name: string, port: number) => ["run", fixture("apps/hello.ts").pathname, "--instance", name, "--port", `${port}`],
  ],
  [
    "start --metrics-port",
    (name: string, port: number) => ["start", "--instance", name, "--port", "0", "--metrics-port", `${port}`],
  ],
] as const)(
  "`maitred %s` on a port in use says which",
  async (_command, argsOf) => {
    const { server, port } = await listen();
    try {
      const refused = await maitred(argsOf(lab().name("port"), port));
      expect(expectRefusal(refused, { status: 1, code: "port-in-use" })).toMatch(new RegExp(`\\b${port}\\b`));
      await nothingLeft();
    } finally {
      server.close();
    }
  },
  30_000,
);

test.each(["--host", "--metrics-host", "--api"])(
  "%s with an address of another machine says which to name",
  async (flag) => {
    // 192.0.2.0/24 is nobody's (RFC 5737).
    const value = flag === "--api" ? "192.0.2.1:0" : "192.0.2.1";
    const metrics = flag === "--metrics-host" ? ["--metrics-port", "0"] : [];
    const refused = await maitred(["start", "--instance", lab().name("far"), "--port", "0", flag, value, ...metrics]);
    expect(expectRefusal(refused, { status: 1, code: "config-invalid" })).toMatch(
      /192\.0\.2\.1.*(Choose|Name) (one|an address)/,
    );
    await nothingLeft();
  },
  30_000,
);

test("metrics options that cannot be are refused before anything is started", async () => {
  const wrong = { port: 70_000, hots: "x" } as object;
  await expect(serve.start({ instance: lab().name("metrics"), metrics: wrong })).rejects.toMatchObject({
    code: "config-invalid",
    message:
      'metrics.port must be a whole number from 0 to 65535, got 70000. metrics.hots is not an option. Did you mean "host"?',
  });
  const refused = await maitred(["start", "--instance", lab().name("metrics"), "--metrics-port", "many"]);
  expectRefusal(refused, { status: 2, code: "usage" });
  await nothingLeft();
});

test("a state folder that cannot be written is named", async () => {
  // Root writes everywhere but in the kernel's own file system.
  const folder = process.getuid?.() === 0 ? "/sys/maitred-state" : lab().folder("locked");
  if (folder.startsWith(lab().root)) chmodSync(folder, 0o500);
  const refused = await maitred(["start", "--instance", lab().name("locked"), "--state-dir", folder, "--port", "0"]);
  expect(expectRefusal(refused, { status: 1, code: "state-unwritable" })).toContain(folder);
  await nothingLeft();
}, 30_000);

test("a state folder that is a file is named", async () => {
  const file = join(lab().root, "file");
  writeFileSync(file, "");
  const refused = await maitred(["start", "--instance", lab().name("file"), "--state-dir", file, "--port", "0"]);
  expect(expectRefusal(refused, { status: 1, code: "state-unwritable" })).toContain(file);
  await nothingLeft();
}, 30_000);

test("a state folder that a newer version wrote is left as it is", async () => {
  const name = lab().name("newer");
  const started = await maitred(["start", "--instance", name, "--port", "0", "--json"]);
  expect(started).toMatchObject({ status: 0, stderr: "" });
  const { stateDir } = started.json<{ stateDir: string }>();
  expect(await maitred(["stop", "--instance", name])).toMatchObject({ status: 0 });
  raiseSchemaVersion(stateFiles(stateDir).store);
  const before = hardState(stateFiles(stateDir).store);

  const refused = await maitred(["start", "--instance", name, "--port", "0"]);
  expect(expectRefusal(refused, { status: 1, code: "schema-newer" })).toMatch(/newer/);
  expect(hardState(stateFiles(stateDir).store)).toEqual(before);
  await waitFor(
    "no process is left",
    () =>
      lab()
        .leftovers()
        .every((left) => !left.startsWith("process")),
    GONE_DEADLINE_MS,
  );
}, 60_000);

test("an instance that is stopped can be erased, also when its store is damaged", async () => {
  const name = lab().name("stopped");
  const { stateDir } = (await maitred(["start", "--instance", name, "--port", "0", "--json"])).json<{
    stateDir: string;
  }>();
  expect(await maitred(["stop", "--instance", name])).toMatchObject({ status: 0 });
  const stopped = expectRefusal(await maitred(["stop", "--instance", name]), { status: 4, code: "instance-unknown" });
  expect(stopped).toContain(`it is stopped, its state is kept in ${stateDir}`);
  expect(stopped).toContain(`\`maitred start --instance ${name}\``);
  writeFileSync(
    stateFiles(stateDir).store,
    "not a database, but long enough to be taken for a file with a header".repeat(99),
  );
  expect(await maitred(["start", "--instance", name, "--port", "0"])).toMatchObject({ status: 1 });

  const nameless = expectRefusal(await maitred(["shutdown"]), { status: 4, code: "instance-unknown" });
  expect(nameless).toMatch(new RegExp(`Stopped (is|are): .*${name}.*\\bmaitred shutdown --instance .* --yes`));
  const asked = expectRefusal(await maitred(["shutdown", "--instance", name]), { status: 2, code: "usage" });
  expect(asked).toContain(stateDir);
  expect(asked).toContain("--yes");
  expect(existsSync(stateFiles(stateDir).store)).toBe(true);

  const other = await maitred(["shutdown", "--instance", "other", "--state-dir", stateDir, "--yes"]);
  expectRefusal(other, { status: 4, code: "instance-unknown" });
  const erased = await maitred(["shutdown", "--instance", name, "--yes"]);
  expect(erased).toMatchObject({ status: 0, stderr: "", stdout: `erased ${name}, which did not run: ${stateDir}\n` });
  await nothingLeft();
  const again = await maitred(["shutdown", "--instance", name, "--yes"]);
  expectRefusal(again, { status: 4, code: "instance-unknown" });
}, 60_000);

test("an instance that runs can be erased when its store is damaged meanwhile", async () => {
  const name = lab().name("damaged");
  const { stateDir } = (await maitred(["start", "--instance", name, "--port", "0", "--json"])).json<{
    stateDir: string;
  }>();
  writeFileSync(stateFiles(stateDir).store, "not a database, though long enough for one".repeat(2_000));
  const erased = await maitred(["shutdown", "--instance", name, "--yes"]);
  expect(erased).toMatchObject({ status: 0, stderr: "", stdout: `ended and erased ${name}: ${stateDir}\n` });
  expect(existsSync(stateDir)).toBe(false);
  await nothingLeft();
}, 60_000);

test.each([
  ["start", ["start", "--port", "0"]],
  ["run", ["run", fixture("apps/hello.ts").pathname, "--port", "0"]],
  ["a file that is named from the folder", ["plan", "./app.ts"]],
])(
  "in a folder that was removed, %s says so",
  async (_what, args) => {
    const folder = lab().folder("removed");
    const script = `process.chdir(process.argv[1]); fs.rmdirSync(process.argv[1]);
    process.exitCode = child_process.spawnSync(process.execPath, process.argv.slice(2), { stdio: "inherit" }).status;`;
    const refused = await spawnNode(["-e", script, folder, BIN, ...args, "--instance", lab().name("removed")]).ended();
    expect(expectRefusal(refused, { status: 2, code: "usage" })).toMatch(
      /folder .* is gone\. Change to one that exists/,
    );
  },
  30_000,
);

/** Does what a later version would have done: the instance's record says a higher schema version. */
const raiseSchemaVersion = (file: string): void => {
  const database = new DatabaseSync(file);
  try {
    const { changes } = database
      .prepare("UPDATE entries SET value = replace(value, ?, ?) WHERE key LIKE '%/instance'")
      .run(`"schemaVersion":${SCHEMA_VERSION}`, `"schemaVersion":${SCHEMA_VERSION + 1}`);
    expect(changes).toBe(1);
  } finally {
    database.close();
  }
};

/** The instance's record and everything that was created in it. */
const hardState = (file: string): unknown => {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return database
      .prepare("SELECT key, value FROM entries WHERE key NOT LIKE '%/nodes/%' AND key NOT LIKE '%/leader'")
      .all();
  } finally {
    database.close();
  }
};
