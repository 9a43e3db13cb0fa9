import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, realpath, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { runFiles, stateFiles } from "../model/places.ts";
import { chooseInstance, listInstances } from "./find-instance.ts";
import { tryAcquireLock } from "./kernel-lock.ts";
import { preparePlaces, runDirOf } from "./places.ts";

let folder: string;
let env: Record<string, string>;
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "maitred-places-")));
  env = { MAITRED_RUN_ROOT: join(folder, "run"), XDG_STATE_HOME: join(folder, "xdg"), HOME: join(folder, "home") };
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const prepare = (more: { instance?: string; life?: "mine" | "detached"; stateDir?: string; env?: object } = {}) =>
  preparePlaces({
    instance: more.instance ?? "shop",
    life: more.life ?? "detached",
    stateDir: more.stateDir,
    env: { ...env, ...more.env },
  });

it("takes the flag, then MAITRED_STATE_DIR, then XDG_STATE_HOME, then ~/.local/state", () => {
  const given = join(folder, "given");
  expect(prepare({ stateDir: given, env: { MAITRED_STATE_DIR: join(folder, "other") } }).stateDir).toBe(given);
  expect(prepare({ env: { MAITRED_STATE_DIR: join(folder, "other") } }).stateDir).toBe(join(folder, "other"));
  expect(prepare().stateDir).toBe(join(folder, "xdg/maitred/shop"));
  expect(prepare({ env: { XDG_STATE_HOME: "" } }).stateDir).toBe(join(folder, "home/.local/state/maitred/shop"));
});

it("gives an instance that ends with its program a new temporary folder each time", async () => {
  const [first, second] = [prepare({ life: "mine" }), prepare({ life: "mine" })];
  expect(first.stateDir).not.toBe(second.stateDir);
  expect(first.stateDir.startsWith(await realpath(tmpdir()))).toBe(true);
  for (const { stateDir } of [first, second]) await rm(stateDir, { recursive: true });
});

it("names the run folder after the real path, so that racing starts meet, and keeps socket paths short", async () => {
  const { stateDir, runDir } = prepare();
  await symlink(stateDir, join(folder, "link"));
  expect(runDirOf(join(folder, "link"), env)).toBe(runDir);
  expect(runDir).toMatch(/\/run\/[0-9a-f]{12}$/);
  expect(runFiles(runDirOf(stateDir, {})).controllerSocket(1_000_000).length).toBeLessThan(60);
});

it("makes folders that nobody else can look into, and narrows one that is too open", async () => {
  const open = join(folder, "open");
  await mkdir(open, { mode: 0o755 });
  const { stateDir, runDir } = prepare({ stateDir: open });
  for (const path of [stateDir, runDir]) expect((await stat(path)).mode & 0o777).toBe(0o700);
});

it("refuses a folder with somebody's files, a file in its place, and a name that is none", async () => {
  const home = join(folder, "documents");
  await mkdir(home);
  await writeFile(join(home, "thesis.txt"), "");
  await chmod(home, 0o755);
  expect(() => prepare({ stateDir: home })).toThrow("it holds files that are not maitred's");
  expect((await stat(home)).mode & 0o777).toBe(0o755);
  await writeFile(join(folder, "file"), "");
  expect(() => prepare({ stateDir: join(folder, "file") })).toThrow(
    expect.objectContaining({ code: "state-unwritable" }),
  );
  expect(() => prepare({ instance: "a/b" })).toThrow(expect.objectContaining({ code: "tag-invalid" }));
});

it("refuses a file system that takes no folders, at once and by name, and a run folder that is too deep for sockets", () => {
  if (existsSync("/proc/self")) {
    expect(() => prepare({ stateDir: "/proc/maitred/state" })).toThrow(
      expect.objectContaining({ code: "state-unwritable", message: expect.stringContaining("/proc/maitred") }),
    );
  }
  expect(() => prepare({ env: { MAITRED_RUN_ROOT: join(folder, "deep".repeat(30)) } })).toThrow(/takes 107/);
});

it("takes back the folders that it made, not what was there or what was put into them", async () => {
  const mine = prepare({ life: "mine" });
  mine.abandon();
  expect([mine.stateDir, mine.runDir].filter((path) => existsSync(path))).toEqual([]);
  const found = join(folder, "found");
  await mkdir(found);
  const kept = prepare({ stateDir: found });
  await writeFile(join(kept.runDir, "instance"), "");
  kept.abandon();
  expect([found, kept.runDir].map((path) => existsSync(path))).toEqual([true, true]);
});

it("clears what an agent has left that was ended before it began, and nothing that is saved", async () => {
  const { stateDir, runDir, abandon } = prepare();
  const { logs, launch } = stateFiles(stateDir);
  const leave = async () => {
    await mkdir(logs, { recursive: true });
    await writeFile(join(logs, "agent.log"), "");
    await mkdir(runDir, { recursive: true });
    await writeFile(runFiles(runDir).lock, "");
  };
  await leave();
  await writeFile(launch, "{}");
  abandon();
  expect([logs, launch, runDir].map((path) => existsSync(path))).toEqual([true, true, false]);
  await rm(launch);
  await leave();
  const lock = tryAcquireLock(runFiles(runDir).lock);
  abandon();
  expect([logs, runDir].map((path) => existsSync(path))).toEqual([true, true]);
  lock?.removeAndRelease();
  await leave();
  abandon();
  expect([stateDir, runDir].filter((path) => existsSync(path))).toEqual([]);
});

it("finds the only living instance, wants a name when there are two, and lists what it knows", async () => {
  const make = async (instance: string) => {
    const { stateDir, runDir } = prepare({ instance });
    const file = JSON.stringify({ id: `id-${instance}`, name: instance, stateDir, createdAt: 1 });
    await writeFile(runFiles(runDir).instance, file);
    return runDir;
  };
  await make("dead");
  expect(listInstances(env)).toEqual([]);
  expect(() => chooseInstance({ instance: undefined, env })).toThrow(
    expect.objectContaining({ code: "instance-unknown" }),
  );
  const locks = [tryAcquireLock(runFiles(await make("bar")).lock), tryAcquireLock(runFiles(await make("shop")).lock)];
  expect(chooseInstance({ instance: "bar", env }).file.id).toBe("id-bar");
  expect(() => chooseInstance({ instance: undefined, env })).toThrow(
    expect.objectContaining({ code: "instance-ambiguous", message: expect.stringContaining("bar (") }),
  );
  expect(() => chooseInstance({ instance: "dead", env })).toThrow("These run: bar");
  for (const lock of locks) lock?.removeAndRelease();
});
