/** Starts writers of tests/fixtures/store/ and reads what they were told is saved. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import type { Store } from "../../src/ports/store.ts";
import type { Acknowledgement, WriterOptions } from "../fixtures/store/writer.ts";
import { isAlive, kill } from "./processes.ts";
import { waitFor } from "./wait-for.ts";

const DEADLINE_MS = 15_000;

const fixture = (name: string): string => new URL(`../fixtures/store/${name}`, import.meta.url).pathname;

/** The command line of a writer, after `node`. */
export const writerArguments = (options: WriterOptions): readonly string[] => [
  fixture("writer.ts"),
  JSON.stringify(options),
];

export interface StoreProcess {
  readonly pid: number;
  /** Sends SIGKILL and waits for the end. */
  end(): Promise<void>;
}

export const startWriter = (options: WriterOptions): StoreProcess =>
  toProcess(spawn(process.execPath, writerArguments(options), { stdio: ["ignore", "ignore", "inherit"] }));

/** A process that holds the write lock of the file when this resolves. */
export const startHolder = async (path: string): Promise<StoreProcess> => {
  const child = spawn(process.execPath, [fixture("holder.ts"), path], { stdio: ["ignore", "pipe", "inherit"] });
  const holder = toProcess(child);
  let isHolding = false;
  child.stdout?.once("data", () => {
    isHolding = true;
  });
  await waitFor("the holder holds the lock", () => isHolding, DEADLINE_MS);
  return holder;
};

const toProcess = (child: ChildProcess): StoreProcess => {
  const pid = child.pid;
  if (pid === undefined) throw new Error("the process did not start");
  return {
    pid,
    end: async () => {
      kill(pid);
      await waitFor(`process ${pid} has ended`, () => !isAlive(pid), DEADLINE_MS);
    },
  };
};

/** Whole lines only: a killed writer may have left half of its last one. */
export const acknowledged = (file: string): readonly Acknowledgement[] => {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.slice(0, -1).map((line) => JSON.parse(line) as Acknowledgement);
};

export const untilAcknowledged = async (file: string, count: number): Promise<void> => {
  await waitFor(`${count} writes are acknowledged`, () => acknowledged(file).length >= count, DEADLINE_MS);
};

/** Acknowledged writes that the store does not hold as they were acknowledged. */
export const lostWrites = async (store: Store, file: string): Promise<readonly Acknowledgement[]> => {
  const { entries } = await store.list("/");
  const byKey = new Map(entries.map((entry) => [entry.key, entry]));
  return acknowledged(file).filter(({ key, valueLength, revision }) => {
    const entry = byKey.get(key);
    return entry?.modRevision !== revision || entry.value.length !== valueLength;
  });
};
