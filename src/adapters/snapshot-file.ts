/** ports/snapshot-store.ts in one file, replaced atomically; several proxies of a node share it. */
import type { SnapshotStore } from "../ports/snapshot-store.ts";
import { readJson, writeWhole } from "./whole-files.ts";

export const openSnapshotFile = (path: string): SnapshotStore => ({
  load: () => readJson<unknown>(path),
  save: (value) => writeWhole(path, JSON.stringify(value), "quickly"),
});
