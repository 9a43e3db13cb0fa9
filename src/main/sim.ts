/**
 * `npm run sim -- --seed N --minutes M`: so many virtual minutes of random calls and faults. Prints how it goes, and at the end
 * `trace hash <hex>`: equal for equal seeds. A violation prints the checker, the virtual time, the last events and the command that
 * replays it, and ends with status 1. `--verbose` prints every event.
 * `--scenario NAME --kill controller,agent --at 20,41` plays a scenario with crashes at these moments instead.
 */
import { parseArgs } from "node:util";
import { runScenario, runSwarm, SCENARIOS } from "../sim/sim.ts";

const DEFAULT_MINUTES = 10;
const PRINTED_EVENTS = 60;
const TEXT = { type: "string" } as const;

const KILLABLE = ["controller", "agent", "proxy", "replica"] as const;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const main = async (): Promise<number> => {
  const { values } = parseArgs({
    options: { seed: TEXT, minutes: TEXT, scenario: TEXT, kill: TEXT, at: TEXT, verbose: { type: "boolean" } },
  });
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
