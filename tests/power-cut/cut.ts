/**
 * Ways to find out whether an acknowledged write would survive a power cut, from the strongest to the weakest. Each runs real
 * writers (synced or, as control, unsynced) and answers how many of their acknowledged writes would be lost.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openSqliteStore } from "../../src/adapters/sqlite-store.ts";
import { createSystemClock } from "../../src/adapters/system-clock.ts";
import { kill } from "../harness/processes.ts";
import { acknowledged, lostWrites, startWriter, untilAcknowledged, writerArguments } from "../harness/store-writers.ts";
import { waitFor } from "../harness/wait-for.ts";

export interface Cut {
  /** Stands in the names of the tests. */
  readonly name: string;
  isPossible(): boolean;
  run(options: CutOptions): Promise<CutResult>;
}

export interface CutOptions {
  /** Cut when this many writes are acknowledged. */
  readonly writes: number;
  readonly unsynced: boolean;
}

export interface CutResult {
  readonly acknowledged: number;
  readonly lost: number;
}

const UNMOUNT_DEADLINE_MS = 10_000;
const IMAGE_SIZE = "48M";

/**
 * The data lies on an ext4 image behind a loop device. What was synced is in the image's file, what was not is only in the file
 * system's memory; so a copy of the image is what a machine finds after a power cut. (A copy of the live files would prove nothing.)
 */
export const imageCut: Cut = {
  name: "copy of an ext4 image on a loop device",
  isPossible: () => {
    if (process.getuid?.() !== 0) return false;
    const folder = mkdtempSync(join(tmpdir(), "maitred-cut-"));
    try {
      makeImage(join(folder, "image"), "8M");
      mount(join(folder, "image"), join(folder, "disk"));
      execFileSync("umount", [join(folder, "disk")]);
      return true;
    } catch {
      return false; // no loop devices here, as in most containers
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  run: async ({ writes, unsynced }) => {
    const folder = mkdtempSync(join(tmpdir(), "maitred-cut-"));
    const [image, disk] = [join(folder, "image"), join(folder, "disk")];
    const [copy, copyDisk] = [join(folder, "copy"), join(folder, "copy-disk")];
    const file = join(folder, "acknowledged");
    makeImage(image, IMAGE_SIZE);
    mount(image, disk);
    try {
      mkdirSync(join(disk, "state"));
      execFileSync("sync", ["-f", disk]);
      const path = join(disk, "state", "store.db");
      const writers = ["a", "b"].map((name) => startWriter({ path, name, acknowledgements: file, unsynced }));
      try {
        await untilAcknowledged(file, writes);
        for (const { pid } of writers) kill(pid, "SIGSTOP");
        await waitFor("the writers are stopped", () => writers.every(({ pid }) => isStopped(pid)), UNMOUNT_DEADLINE_MS);
        copyFileSync(image, copy);
      } finally {
        for (const writer of writers) await writer.end();
      }
      mount(copy, copyDisk);
      return await survey(join(copyDisk, "state", "store.db"), file);
    } finally {
      await unmount(copyDisk);
      await unmount(disk);
      rmSync(folder, { recursive: true });
    }
  },
};

/** Without root: each acknowledged write must have been synced before, so there are at least as many sync calls as writes. */
export const countedCut: Cut = {
  name: "sync calls counted by strace",
  isPossible: () => spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0,
  run: async ({ writes, unsynced }) => {
    const folder = mkdtempSync(join(tmpdir(), "maitred-cut-"));
    try {
      const [trace, file] = [join(folder, "trace"), join(folder, "acknowledged")];
      const path = join(folder, "store.db");
      const writer = writerArguments({ path, name: "a", acknowledgements: file, count: writes, unsynced });
      const strace = ["-f", "-e", "trace=fsync,fdatasync", "-o", trace, process.execPath, ...writer];
      execFileSync("strace", strace, { stdio: "ignore" });
      const syncs = readFileSync(trace, "utf8").match(/f(data)?sync\(\d+\)\s+= 0/g)?.length ?? 0;
      return { acknowledged: acknowledged(file).length, lost: Math.max(0, writes - syncs) };
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

async function survey(path: string, file: string): Promise<CutResult> {
  const all = acknowledged(file).length;
  if (!existsSync(path)) return { acknowledged: all, lost: all };
  const check = new DatabaseSync(path);
  const { integrity_check: integrity } = check.prepare("PRAGMA integrity_check").get() ?? {};
  check.close();
  if (integrity !== "ok") return { acknowledged: all, lost: all };
  const store = openSqliteStore({ path, clock: createSystemClock() });
  const lost = await lostWrites(store, file);
  await store.close();
  return { acknowledged: all, lost: lost.length };
}

function makeImage(path: string, size: string): void {
  execFileSync("truncate", ["-s", size, path]);
  execFileSync("mkfs.ext4", ["-q", "-F", path], { stdio: "ignore" });
}

/** `commit=600`: the file system writes by itself only every ten minutes, so the control cannot be saved by luck. */
function mount(image: string, folder: string): void {
  mkdirSync(folder);
  execFileSync("mount", ["-o", "loop,commit=600", image, folder], { stdio: "ignore" });
}

async function unmount(folder: string): Promise<void> {
  const isMounted = () => readFileSync("/proc/mounts", "utf8").includes(` ${folder} `);
  if (!isMounted()) return;
  await waitFor(
    `${folder} is unmounted`,
    () => {
      spawnSync("umount", [folder]);
      return !isMounted();
    },
    UNMOUNT_DEADLINE_MS,
  );
}

const isStopped = (pid: number): boolean => /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
