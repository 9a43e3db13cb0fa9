/**
 * `npm run sim -- --seed N --minutes M`: so many virtual minutes of random calls and faults. Prints how it goes, and at the end
 * `trace hash <hex>`: equal for equal seeds. A violation prints the checker, the virtual time, the last events and the command that
 * replays it, and ends with status 1. `--verbose` prints every event.
 */
import { parseArgs } from "node:util";
import { runSwarm } from "../sim/sim.ts";

const DEFAULT_MINUTES = 10;
const PRINTED_EVENTS = 60;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const TEXT = { type: "string" } as const;

const main = async (): Promise<number> => {
  const { values } = parseArgs({ options: { seed: TEXT, minutes: TEXT, verbose: { type: "boolean" } } });
  const seed = values.seed ?? String(Math.floor(Math.random() * 1e9));
  const minutes = Number(values.minutes ?? DEFAULT_MINUTES);
  if (!(Number.isFinite(minutes) && minutes > 0)) {
    print(`--minutes must be a number above 0, got ${values.minutes}.`);
    return 2;
  }
  print(`seed ${seed}, ${minutes} virtual minutes`);
  const result = await runSwarm({ seed, minutes, onProgress: print, ...(values.verbose && { onLine: print }) });
  const { violation } = result;
  if (violation !== undefined) {
    for (const event of violation.events.slice(-PRINTED_EVENTS)) print(`  ${event}`);
    print(`VIOLATION ${violation.checker} at ${violation.atMs.toFixed(3)} ms: ${violation.message}`);
    print(`replay: npm run sim -- --seed ${seed} --minutes ${minutes}`);
  }
  print(`${result.calls} calls, ${result.events} events, ${(result.virtualMs / 60_000).toFixed(1)} virtual minutes`);
  print(`trace hash ${result.traceHash}`);
  return violation === undefined ? 0 : 1;
};

process.exitCode = await main();
