/**
 * A lab: a folder and a mark of its own for one test or one test file, in which instances are started through the public doors.
 * Whatever happens in the test, at its end every process that carries the mark is ended and every folder removed.
 * `MAITRED_LAB_LOGS=/some/folder` keeps the log files of every instance there, for whoever looks for the cause of a failure.
 * While a lab is open, this process's environment sends the state, run and temporary folders of instances into it: one lab at a time.
 */
import { randomBytes } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { type Client, type StartOptions, serve } from "../../src/index.ts";
import type { Status } from "../../src/model/status.ts";
import { findInstances, RUN_ROOT_VARIABLE, runFolderOf } from "./places.ts";
import { commandOf, endMarked, MARK_VARIABLE, markedPids } from "./processes.ts";
import { pause, waitFor } from "./wait-for.ts";

/** Room for a start on a machine that also runs other tests. */
export const START_DEADLINE_MS = 30_000;
const CLOSE_DEADLINE_MS = 2_000;

export interface Started {
  readonly name: string;
  readonly stateDir: string;
  readonly runDir: string;
  /** Base URL of HTTP. */
  readonly url: string;
  readonly client: Client;
  status(): Promise<Status>;
}

export interface StartInLab extends Pick<StartOptions, "detached" | "metrics"> {
  readonly proxies?: number | undefined;
  /** Added to the environment that every process of the instance inherits. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

export interface Lab {
  readonly root: string;
  readonly mark: string;
  /** A name that no other instance on this machine has. */
  name(stem: string): string;
  folder(name: string): string;
  start(options?: StartInLab): Promise<Started>;
  /** Another connection to an instance of this lab, closed with it. */
  connect(instance: string): Promise<Client>;
  /** Sentences about what is still there of the lab's instances: processes, run folders, state and temporary files. */
  leftovers(): readonly string[];
  end(): Promise<void>;
}

/** A lab for each test, or one for the whole file; the answer gives the open one. */
export const useLab = (scope: "test" | "file"): (() => Lab) => {
  let lab: Lab | undefined;
  const open = (): void => {
    lab = openLab();
  };
  const end = async (): Promise<void> => {
    await lab?.end();
  };
  if (scope === "test") {
    beforeEach(open);
    afterEach(end);
  } else {
    beforeAll(open);
    afterAll(end);
  }
  return () => {
    if (lab === undefined) throw new Error("the lab opens in beforeAll or beforeEach");
    return lab;
  };
};

const openLab = (): Lab => {
  const mark = randomBytes(6).toString("hex");
  const root = mkdtempSync(join(tmpdir(), "maitred-lab-"));
  const folders = { state: join(root, "state"), run: join(root, "run"), temporary: join(root, "tmp") } as const;
  for (const folder of Object.values(folders)) mkdirSync(folder, { mode: 0o700 });
  const restore = setEnvironment({
    [MARK_VARIABLE]: mark,
    XDG_STATE_HOME: folders.state,
    [RUN_ROOT_VARIABLE]: folders.run,
    TMPDIR: folders.temporary,
    MAITRED_INSTANCE: undefined,
    MAITRED_STATE_DIR: undefined,
    MAITRED_FAULT: undefined,
    MAITRED_METRICS_PORT: undefined,
    PORT: undefined,
    HOST: undefined,
  });
  const clients: Client[] = [];

  const keep = (client: Client): Client => {
    clients.push(client);
    return client;
  };

  const leftovers = (): readonly string[] => [
    ...markedPids(mark).map((pid) => `process ${pid}: ${commandOf(pid)}`),
    ...Object.values(folders).flatMap((folder) => filesIn(folder).map((path) => `file ${path}`)),
  ];

  return {
    root,
    mark,
    name: (stem) => `${stem}-${mark}`,
    folder: (name) => {
      const path = join(root, name);
      mkdirSync(path, { recursive: true });
      return path;
    },
    start: async (options = {}) => {
      const name = `lab-${mark}`;
      const restoreAfterStart = setEnvironment(options.env ?? {});
      try {
        const client = keep(
          await serve.start({
            detached: options.detached ?? true,
            instance: name,
            http: { port: 0, proxiesPerNode: options.proxies ?? 1 },
            metrics: options.metrics,
          }),
        );
        return await startedOf(client, name);
      } finally {
        restoreAfterStart();
      }
    },
    connect: async (instance) => keep(await serve.connect({ instance })),
    leftovers,
    end: async () => {
      await Promise.race([Promise.allSettled(clients.map((client) => client.close())), pause(CLOSE_DEADLINE_MS)]);
      await endMarked(mark);
      keepLogs(folders.state, mark);
      rmSync(root, { recursive: true, force: true });
      restore();
    },
  };
};

const startedOf = async (client: Client, name: string): Promise<Started> => {
  const stateDir = findInstances().find((found) => found.name === name)?.stateDir;
  if (stateDir === undefined) throw new Error(`no instance file names ${name}`);
  const status = async (): Promise<Status> => (await client.status()) as Status;
  const url = await waitFor("a proxy answers", async () => (await status()).urls[0], START_DEADLINE_MS);
  return { name, stateDir, runDir: runFolderOf(stateDir), url, client, status };
};

const keepLogs = (stateHome: string, mark: string): void => {
  const { MAITRED_LAB_LOGS: kept } = process.env;
  if (kept === undefined) return;
  const isLog = (path: string): boolean => !/\.\w+$/.test(path) || path.endsWith(".log");
  cpSync(stateHome, join(kept, mark), { recursive: true, filter: isLog });
};

/** Files, sockets and empty folders; the folder `maitred` in XDG_STATE_HOME is everybody's. */
const filesIn = (folder: string): readonly string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) return [path];
    const inside = filesIn(path);
    return inside.length > 0 || entry.name === "maitred" ? inside : [path];
  });

/** Sets (undefined: removes) variables of this process; the answer puts back what was there. */
const setEnvironment = (variables: Readonly<Record<string, string | undefined>>): (() => void) => {
  const before = Object.fromEntries(Object.keys(variables).map((name) => [name, process.env[name]]));
  const set = (values: Readonly<Record<string, string | undefined>>): void => {
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
  set(variables);
  return () => set(before);
};
