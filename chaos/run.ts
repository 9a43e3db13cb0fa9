/**
 * `npm run chaos -- --minutes M`: an instance under open-loop load while its processes are killed and paused, versions roll, traffic moves
 * and replicas come and go. Prints what became of every query, and exits 1 when one was lost, when one that may run once ran twice, or
 * when one failed that cannot have been on what was killed. Everything it starts is ended, also when it fails or is interrupted.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { backend, type Client, serve } from "../src/index.ts";
import { SeededRandom } from "../src/sim/kernel/seeded-random.ts";
import { endMarked, MARK_VARIABLE } from "../tests/harness/processes.ts";
import { waitFor } from "../tests/harness/wait-for.ts";
import { drawFault, ENV } from "./faults.ts";
import { accountOf, type Kill, lineOf, tableOf, verdictOf } from "./ledger.ts";
import { Load } from "./load.ts";
import type { Relay, Work } from "./work.ts";

const HELP = `usage: npm run chaos -- [--minutes M] [--seed S] [--rate R] [--json] [--verbose]

  --minutes M   how long faults come (default 5)
  --seed S      draws the same faults again (default: a new one, printed)
  --rate R      queries a second (default 150)
  --json        the account as one JSON object on stdout
  --verbose     every fault as it happens, and at the end every query that failed, on stderr

Exit status: 0 nothing was lost, 1 something was, 2 usage.
`;

const DEADLINE_MS = 8_000;
const PATIENCE_MS = 15_000;
const HEAL_MS = 60_000;
const CALM_MS = 2_000;
const BETWEEN_FAULTS_MS = [300, 3_000] as const;
const CHANGE_FAILURES = new Set(["goal-superseded"]);

interface Wish {
  readonly minutes: number;
  readonly seed: string;
  readonly rate: number;
  readonly isJson: boolean;
  readonly say: (event: string) => void;
}

const main = async (): Promise<number> => {
  const wish = wishOf();
  if (typeof wish === "number") return wish;
  const mark = randomBytes(6).toString("hex");
  const folder = mkdtempSync(join(tmpdir(), "maitred-chaos-"));
  for (const name of ["state", "run", "ledger"]) mkdirSync(join(folder, name), { mode: 0o700 });
  Object.assign(process.env, {
    [MARK_VARIABLE]: mark,
    XDG_STATE_HOME: join(folder, "state"),
    MAITRED_RUN_ROOT: join(folder, "run"),
  });
  Object.assign(ENV, { LEDGER: join(folder, "ledger"), VERSION: "1" });
  const interrupted = new Promise<number>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve(1));
  });
  try {
    return await Promise.race([run(wish), interrupted]);
  } finally {
    await endMarked(mark);
    rmSync(folder, { recursive: true, force: true });
  }
};

const wishOf = (): Wish | number => {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  try {
    const options = { minutes: text, seed: text, rate: text, json: flag, verbose: flag, help: { ...flag, short: "h" } };
    const { values } = parseArgs({ options });
    if (values.help === true) {
      process.stdout.write(HELP);
      return 0;
    }
    const [minutes, rate] = [Number(values.minutes ?? 5), Number(values.rate ?? 150)];
    for (const [name, value] of Object.entries({ minutes, rate })) {
      if (!(Number.isFinite(value) && value > 0)) throw new Error(`--${name} must be a number above 0`);
    }
    const startedAt = performance.now();
    const say = (event: string): void => {
      if (values.verbose !== true) return;
      process.stderr.write(`${((performance.now() - startedAt) / 1_000).toFixed(2).padStart(8)} s  ${event}\n`);
    };
    return { minutes, rate, seed: values.seed ?? randomBytes(4).toString("hex"), isJson: values.json === true, say };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    return 2;
  }
};

const run = async ({ minutes, seed, rate, isJson, say }: Wish): Promise<number> => {
  process.stderr.write(`seed ${seed}: ${minutes} minutes of faults under ${rate} queries a second\n`);
  const client = await serveWork();
  const random = new SeededRandom(seed);
  const load = new Load({
    client,
    url: client.urls[0] ?? "",
    perSecond: rate,
    deadlineMs: DEADLINE_MS,
    patienceMs: PATIENCE_MS,
    random: random.fork("load"),
  });
  const kills: Kill[] = [];
  const problems: string[] = [];
  const until = performance.now() + minutes * 60_000;
  const draws = random.fork("faults");
  let faults = 0;
  while (performance.now() < until) {
    const fault = drawFault(draws);
    const victims = { client, kills, say, random: draws.fork(fault.name) };
    say(fault.name);
    faults += 1;
    await fault.strike(victims).catch((error: unknown) => {
      const { code, message } = error as { readonly code?: string; readonly message: string };
      if (!CHANGE_FAILURES.has(code ?? "")) problems.push(`${fault.name}: ${code}: ${message}`);
    });
    await pause(Math.floor(draws.between(...BETWEEN_FAULTS_MS)));
  }
  problems.push(...(await heal(client, load)));
  await load.stop();

  const noted = readdirSync(ENV["LEDGER"] ?? "").flatMap((name) =>
    readFileSync(join(ENV["LEDGER"] ?? "", name), "utf8")
      .split("\n")
      .filter(Boolean)
      .map((id) => ({ id, pid: Number(name) })),
  );
  const account = accountOf({ queries: load.queries, kills, noted, deadlineMs: DEADLINE_MS });
  problems.push(...verdictOf(account));
  await client.shutdown().catch((error: unknown) => problems.push(`shutdown: ${error}`));
  await client.close();
  if (isJson) process.stdout.write(`${JSON.stringify({ seed, faults, kills: kills.length, ...account, problems })}\n`);
  else process.stdout.write(`${faults} faults, ${kills.length} kills\n${tableOf(account)}\n`);
  for (const problem of problems) process.stderr.write(`PROBLEM ${problem}\n`);
  const { broken, unexplained, givenUp } = account;
  for (const one of [...unexplained, ...givenUp]) process.stderr.write(`PROBLEM ${lineOf(one)}\n`);
  for (const one of broken) say(lineOf(one));
  if (problems.length > 0)
    process.stderr.write(`again: npm run chaos -- --minutes ${minutes} --seed ${seed} --verbose\n`);
  return problems.length === 0 ? 0 : 1;
};

const serveWork = async (): Promise<Client> => {
  const client = await serve.start({ detached: true, instance: "chaos", http: { port: 0, proxiesPerNode: 2 } });
  const module = new URL("./work.ts", import.meta.url);
  const config = { numReplicas: 2, maxConcurrentQueries: 16, env: ENV };
  await client.createBackend("work:v1", backend<typeof Work>({ module, export: "Work" }), config);
  await client.createBackend("work:v2", backend<typeof Work>({ module, export: "Work" }), config);
  await client.createBackend("relay:v1", backend<typeof Relay>({ module, export: "Relay" }), {
    numReplicas: 2,
    env: ENV,
  });
  const common = { timeoutMs: DEADLINE_MS } as const;
  await client.createEndpoint("work", { ...common, route: "/work", traffic: { "work:v1": 1 } });
  await client.createEndpoint("relay", { ...common, route: "/relay", backend: "relay:v1" });
  return client;
};

/** Everything runs as wanted again, and a calm time after that no query fails. */
const heal = async (client: Client, load: Load): Promise<readonly string[]> => {
  try {
    await waitFor("everything runs as wanted again", () => isWhole(client), HEAL_MS);
  } catch (error) {
    const seen = await client.status().then(({ processes }) => JSON.stringify(processes), String);
    return [`${(error as Error).message}: ${seen}`];
  }
  const from = load.queries.length;
  await pause(CALM_MS);
  const calm = load.queries.slice(from).filter(({ end }) => end !== undefined && end.kind !== "answered");
  return calm.length === 0
    ? []
    : [`${calm.length} queries were not answered when all was well again: ${calm[0]?.id} ${calm[0]?.end?.what}`];
};

const isWhole = async (client: Client): Promise<boolean> => {
  const { processes, backends } = await client.status();
  const count = (kind: string) => processes.filter((it) => it.kind === kind && it.state === "ready").length;
  return (
    count("agent") === 1 &&
    count("controller") === 1 &&
    count("proxy") === 2 &&
    backends.every(({ replicas }) => replicas.running === replicas.wanted) &&
    processes.every(({ state }) => state === "ready")
  );
};

main().then(
  (status) => process.exit(status),
  (error: unknown) => {
    process.stderr.write(`${(error as Error).stack}\n`);
    process.exit(1);
  },
);
