/** A small disk that a test can fill: a tmpfs, where this user may mount one. */
import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PART = Buffer.alloc(4_096);

export interface SmallDisk {
  readonly path: string;
  /** Leaves not a byte. */
  fill(): void;
  free(): void;
  unmount(): void;
}

/** Mounts it on `<folder>/disk`. undefined: this user may not. */
export const mountDisk = (folder: string, bytes: number): SmallDisk | undefined => {
  const path = join(folder, "disk");
  mkdirSync(path);
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "maitred-test", path]);
  if (status !== 0) return undefined;
  const ballast = join(path, "ballast");
  return {
    path,
    fill: () => fillFile(ballast),
    free: () => rmSync(ballast),
    // Lazily: a process that is just ending may still hold a file.
    unmount: () => void execFileSync("umount", ["-l", path]),
  };
};

const fillFile = (path: string): void => {
  const fd = openSync(path, "a");
  try {
    for (;;) writeSync(fd, PART);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    closeSync(fd);
  }
};

export const mayMount = ((): boolean => {
  const folder = mkdtempSync(join(tmpdir(), "maitred-disk-"));
  const disk = mountDisk(folder, 100_000);
  disk?.unmount();
  rmSync(folder, { recursive: true });
  return disk !== undefined;
})();
