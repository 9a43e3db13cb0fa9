/**
 * An instance that serves the echo fixture, and the ledger in which its replicas note each query before they run it: what was started
 * where, and whether anything was started twice.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { backend, type CommonConfig } from "../../src/index.ts";
import type { Lab, Started, StartInLab } from "./lab.ts";

export const fixture = (name: string): URL => new URL(`../fixtures/${name}`, import.meta.url);
export const ECHO = { module: fixture("apps/echo.ts"), export: "echo" } as const;

export interface EchoInstance extends Started {
  readonly echoUrl: string;
  readonly ledger: Ledger;
}

export interface Ledger {
  readonly folder: string;
  /** Ids of the queries that this process has started. */
  of(pid: number): readonly string[];
  /** Ids that were started in any process. */
  all(): readonly string[];
  /** Ids that were started more than once. */
  twice(): readonly string[];
}

export interface EchoOptions extends StartInLab {
  readonly replicas?: number | undefined;
}

/** Serves `POST /echo` by backend and endpoint `echo`. */
export const serveEcho = async (lab: Lab, options: EchoOptions = {}): Promise<EchoInstance> => {
  const instance = await lab.start(options);
  const ledger = openLedger(lab.folder("ledger"));
  const config: CommonConfig = { numReplicas: options.replicas ?? 1, env: { LEDGER: ledger.folder } };
  await instance.client.createBackend("echo", backend(ECHO), config);
  await instance.client.createEndpoint("echo", { route: "/echo", backend: "echo" });
  return { ...instance, echoUrl: `${instance.url}/echo`, ledger };
};

export const openLedger = (folder: string): Ledger => {
  const read = (name: string): readonly string[] =>
    readFileSync(join(folder, name), "utf8")
      .split("\n")
      .filter((id) => id !== "");
  const all = (): readonly string[] => readdirSync(folder).flatMap(read);
  return {
    folder,
    all,
    of: (pid) => (readdirSync(folder).includes(`${pid}`) ? read(`${pid}`) : []),
    twice: () => {
      const seen = new Set<string>();
      const repeated = (id: string): boolean => seen.size === seen.add(id).size;
      return all().filter(repeated);
    },
  };
};
