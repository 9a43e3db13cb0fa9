/**
 * One revision's changes as the text of a log row: a JSON list, a put as [key, value, createRevision, version, lease or null],
 * a deletion as [key]. `encodeChanges` and `decodeChanges` are inverse, given the revision.
 */
import type { LeaseId, WatchChange } from "../../ports/store.ts";

type PutRow = readonly [key: string, value: string, createRevision: number, version: number, lease: LeaseId | null];
type ChangeRow = PutRow | readonly [key: string];

export function encodeChanges(changes: readonly WatchChange[]): string {
  const rows = changes.map((change): ChangeRow => {
    if (change.kind === "delete") return [change.key];
    const { key, value, createRevision, version, lease } = change.entry;
    return [key, value, createRevision, version, lease ?? null];
  });
  return JSON.stringify(rows);
}

export function decodeChanges(text: string, revision: number): readonly WatchChange[] {
  return (JSON.parse(text) as readonly ChangeRow[]).map((row): WatchChange => {
    if (row.length === 1) return { kind: "delete", key: row[0], modRevision: revision };
    const [key, value, createRevision, version, lease] = row;
    const entry = { key, value, createRevision, modRevision: revision, version, lease: lease ?? undefined };
    return { kind: "put", entry };
  });
}
