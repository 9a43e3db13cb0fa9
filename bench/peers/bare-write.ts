/**
 * The peer of the controller's writes: one durable write of so many bytes into an SQLite file with the store's settings, and nothing
 * around it. Argument: the file. Each line on stdin, `<bytes> <count>`, is answered by { ms }: the median of one write.
 */

import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { median } from "../measure.ts";

const [path = ""] = process.argv.slice(2);
const db = new DatabaseSync(path);
db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE bare (id INTEGER PRIMARY KEY, value TEXT)");
const insert = db.prepare("INSERT INTO bare (value) VALUES (?)");

const write = (value: string): number => {
  const startedAt = performance.now();
  db.exec("BEGIN IMMEDIATE");
  insert.run(value);
  db.exec("COMMIT");
  return performance.now() - startedAt;
};

process.stdout.write("{}\n");
for await (const line of createInterface({ input: process.stdin })) {
  const [bytes = 0, count = 0] = line.split(" ").map(Number);
  const value = "x".repeat(bytes);
  const ms = median(Array.from({ length: count }, () => write(value)));
  process.stdout.write(`${JSON.stringify({ ms })}\n`);
}
process.exit(0);
