/**
 * `npm run sim`: so many virtual minutes of random calls and faults, or one scenario with crashes at chosen moments. Prints how it goes,
 * and at the end `trace hash <hex>`: equal for equal seeds. A violation prints the checker, the virtual time, the last events and the
 * command that replays it, and ends with status 1.
 */
import { parseArgs } from "node:util";
import { runScenario, runSwarm, SCENARIOS } from "../sim/sim.ts";

const DEFAULT_MINUTES = 10;
const PRINTED_EVENTS = 60;
const TEXT = { type: "string" } as const;

const KILLABLE = ["controller", "agent", "proxy", "replica"] as const;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const USAGE = `usage: npm run sim -- [--seed S] [--minutes M] [--verbose]
       npm run sim -- --scenario NAME [--kill KINDS] [--at MOMENTS] [--seed S] [--verbose]

The real controller, agents and routers on a virtual clock, with random calls and faults drawn from the seed.

  --seed S         draws the same run again (default: a new one, printed)
  --minutes M      virtual minutes (default ${DEFAULT_MINUTES})
  --scenario NAME  plays one scenario instead; a wrong name lists them
  --kill KINDS     who crashes in it: ${KILLABLE.join(",")} (default controller)
  --at MOMENTS     at which moments, two for each effect of theirs, before it and after it: 20,41
  --verbose        every event

  npm run sim -- --seed 7 --minutes 2

Exit status: 0 nothing was violated, 1 something was, 2 usage.
`;

const readOptions = () => {
  try {
    const flags = { verbose: { type: "boolean" }, help: { type: "boolean", short: "h" } } as const;
    return parseArgs({ options: { seed: TEXT, minutes: TEXT, scenario: TEXT, kill: TEXT, at: TEXT, ...flags } }).values;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};

const main = async (): Promise<number> => {
  const values = readOptions();
  if (typeof values === "string") {
    process.stderr.write(`${values}\n\n${USAGE}`);
    return 2;
  }
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  const seed = values.seed ?? String(Math.floor(Math.random() * 1e9));
  const listen = values.verbose === true ? { onLine: print } : {};
  if (values.scenario !== undefined) {
    const { scenario: name, kill = "controller", at = "" } = values;
    return playScenario({ name, seed, crashes: KILLABLE.filter((kind) => kill.split(",").includes(kind)), at, listen });
  }
  const minutes = Number(values.minutes ?? DEFAULT_MINUTES);
  if (!(Number.isFinite(minutes) && minutes > 0)) {
    print(`--minutes must be a number above 0, got ${values.minutes}.`);
    return 2;
  }
  print(`seed ${seed}, ${minutes} virtual minutes`);
  const result = await runSwarm({ seed, minutes, onProgress: print, ...listen });
  printViolation(result.violation, `npm run sim -- --seed ${seed} --minutes ${minutes}`);
  print(`${result.calls} calls, ${result.events} events, ${(result.virtualMs / 60_000).toFixed(1)} virtual minutes`);
  print(`trace hash ${result.traceHash}`);
  return result.violation === undefined ? 0 : 1;
};

interface Play {
  readonly name: string;
  readonly seed: string;
  readonly crashes: readonly (typeof KILLABLE)[number][];
  readonly at: string;
  readonly listen: { readonly onLine?: (line: string) => void };
}

const playScenario = async ({ name, seed, crashes, at, listen }: Play): Promise<number> => {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) {
    print(`no scenario is called "${name}". There are: ${Object.keys(SCENARIOS).join(" · ")}.`);
    return 2;
  }
  const crashAt = at === "" ? [] : at.split(",").map(Number);
  if (!crashAt.every((moment) => Number.isInteger(moment) && moment >= 0)) {
    print(`--at must be whole numbers with commas between them, got ${at}.`);
    return 2;
  }
  const result = await runScenario({ seed, name, scenario, crashes, crashAt, ...listen });
  for (const outcome of result.outcomes) print(outcome);
  printViolation(
    result.violation,
    `npm run sim -- --scenario "${name}" --seed ${seed} --kill ${crashes} --at ${at} --verbose`,
  );
  print(`trace hash ${result.traceHash}`);
  return result.violation === undefined ? 0 : 1;
};

const printViolation = (violation: Awaited<ReturnType<typeof runSwarm>>["violation"], replay: string): void => {
  if (violation === undefined) return;
  for (const event of violation.events.slice(-PRINTED_EVENTS)) print(`  ${event}`);
  print(`VIOLATION ${violation.checker} at ${violation.atMs.toFixed(3)} ms: ${violation.message}`);
  print(`replay: ${replay}`);
};

process.exitCode = await main();
