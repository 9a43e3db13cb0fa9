/**
 * Keeps the floors of ARCHITECTURE.md: `npm run floors`. The table below is the picture, the rules under it say who may
 * import what; each message names the way out. Type-only imports count: who knows a type knows the thing.
 * Test files (`x.test.ts`, and `x.contract.ts`, a suite that every implementation of a port runs) are bound only by
 * their length: they may look anywhere, but nothing that ships may import them.
 */
import { globSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { type Import, type ModuleFacts, readModuleFacts } from "./module-facts.ts";

interface Folder {
  readonly floor: number;
  /** What stands here, as the messages say it. */
  readonly is: string;
  /** "pure": no Node, no async, no clock. "ports": the outside world comes in through ports. "free": the world itself. */
  readonly world: "pure" | "ports" | "free";
  /** Who imports a file of this folder from outside it sees `folder/folder.ts` ("front") or any file ("each"). */
  readonly opensBy: "front" | "each";
  readonly neighbours?: readonly string[];
  /** Validation and admin libraries are allowed: an edge, where input is parsed once. */
  readonly edge?: true;
}

const FOLDERS: Readonly<Record<string, Folder>> = {
  base: { floor: 0, is: "base knows no domain", world: "pure", opensBy: "each" },
  model: { floor: 1, is: "model is words", world: "pure", opensBy: "each" },
  core: { floor: 2, is: "core decides", world: "pure", opensBy: "each" },
  ports: { floor: 2, is: "ports are interfaces", world: "pure", opensBy: "each" },
  longpoll: { floor: 3, is: "longpoll is a shared mechanism", world: "ports", opensBy: "front" },
  api: { floor: 3, is: "api is what users write", world: "free", opensBy: "front" },
  target: { floor: 3, is: "target looks into user code", world: "ports", opensBy: "front", neighbours: ["api"] },
  router: { floor: 3, is: "router is a shared mechanism", world: "ports", opensBy: "front", neighbours: ["longpoll"] },
  controller: { floor: 4, is: "controller is a role", world: "ports", opensBy: "front" },
  agent: { floor: 4, is: "agent is a role", world: "ports", opensBy: "front" },
  proxy: { floor: 4, is: "proxy is a role", world: "ports", opensBy: "front" },
  replica: { floor: 4, is: "replica is a role", world: "ports", opensBy: "front" },
  client: { floor: 5, is: "client is an edge", world: "free", opensBy: "front", edge: true },
  cli: { floor: 5, is: "cli is an edge", world: "free", opensBy: "front", neighbours: ["client"], edge: true },
  rest: { floor: 5, is: "rest is an edge", world: "free", opensBy: "front", edge: true },
  dashboard: {
    floor: 5,
    is: "dashboard is an edge",
    world: "free",
    opensBy: "front",
    neighbours: ["client"],
    edge: true,
  },
  adapters: { floor: 5, is: "adapters are the real world", world: "free", opensBy: "each", edge: true },
  sim: { floor: 5, is: "sim is the simulated world", world: "free", opensBy: "front" },
  main: { floor: 6, is: "main puts a process together", world: "free", opensBy: "each", edge: true },
};

const MAX_LINES = 400;
const PROGRAM_ROOT = "src/main/program.ts";
const FRONT_DOOR = "src/index.ts";
const EDGE_PACKAGES = ["zod", "fastify", "@fastify"];
const TEST_PACKAGES = ["vitest", "fast-check"];
const PORTS_INSTEAD_OF = new Set(
  "child_process cluster dgram dns fs fs/promises http http2 https inspector net perf_hooks sqlite timers timers/promises tls worker_threads"
    .split(" ")
    .map((name) => `node:${name}`),
);
/** Many of these run side by side, or run inside the user's program: what they load when they start must stay small. */
const LIGHT_ROOTS = [FRONT_DOOR, "src/main/proxy.ts", "src/main/replica.ts"];

/** One sentence for each violation, in the order of the files. Keys of `sources` are paths from the repository's root. */
export function checkFloors(sources: ReadonlyMap<string, string>): string[] {
  const facts = new Map([...sources].map(([file, source]) => [file, readModuleFacts(file, source)]));
  return [...facts].flatMap(([file, module]) => checkFile(file, module)).concat(checkLightRoots(facts));
}

function checkFile(file: string, facts: ModuleFacts): string[] {
  const tooLong =
    facts.lineCount > MAX_LINES
      ? [`${file} has ${facts.lineCount} lines, more than ${MAX_LINES}: which noun is missing? Give it a file.`]
      : [];
  if (isTest(file)) return tooLong;

  const name = folderOf(file);
  const folder = name === undefined ? undefined : FOLDERS[name];
  if (file !== FRONT_DOOR && folder === undefined) {
    return [
      `${file} is on no floor: move it into a folder of the table in scripts/floors.ts, or add the folder there.`,
    ];
  }
  const importProblems = facts.imports.flatMap((it) => {
    const reason = isRelative(it)
      ? refuseFile(file, folder, resolve(file, it))
      : refusePackage(it.specifier, name ?? FRONT_DOOR, folder);
    return reason === undefined ? [] : [`${file}:${it.line} imports ${it.specifier}: ${reason}`];
  });
  return [...tooLong, ...importProblems, ...(folder === undefined ? [] : checkWorld(file, folder, facts))];
}

function checkWorld(file: string, folder: Folder, facts: ModuleFacts): string[] {
  const asyncUses = folder.world === "pure" ? facts.asyncUses : [];
  const ambientUses = folder.world === "free" ? [] : facts.ambientUses;
  return [
    ...asyncUses.map(
      (use) =>
        `${file}:${use.line} uses ${use.what}: ${folder.is} and never waits; let the role above wait and pass the value in.`,
    ),
    ...ambientUses.map(
      (use) =>
        `${file}:${use.line} calls ${use.what}: ${folder.is}, and time and chance come in from outside (now as an argument, or the clock and random ports), so that a simulation can replay it.`,
    ),
  ];
}

function refuseFile(file: string, from: Folder | undefined, target: string): string | undefined {
  const name = folderOf(file);
  const targetName = folderOf(target);
  if (isTest(target)) return "it is a test; what ships must not need it.";
  if (target === FRONT_DOOR) return "it is the user's door; import the file that defines the thing.";
  if (targetName === name) return undefined;
  const to = targetName === undefined ? undefined : FOLDERS[targetName];
  if (to === undefined) return "it stands on no floor of src.";

  if (from === undefined) {
    // The client of a user's program is put together like a process; `serve` loads that root at its first use.
    return to.floor <= 5 || target === PROGRAM_ROOT
      ? undefined
      : `${to.is}; the user's door reaches floors up to 5 and starts processes by path.`;
  }
  if (to.floor > from.floor) {
    return `${name} is floor ${from.floor}, ${targetName} is floor ${to.floor}, and imports only go down; move what both need down, or take a port and let main/ pass it in.`;
  }
  if (to.floor === from.floor && !from.neighbours?.includes(targetName ?? "")) {
    return `${name} and ${targetName} stand on one floor and do not know each other; move what both need down a floor, or let the floor above hand it over.`;
  }
  const front = `src/${targetName}/${targetName}.ts`;
  if (to.opensBy === "front" && target !== front) {
    return `${targetName} opens only by ${targetName}/${targetName}.ts; export what you need there.`;
  }
  return undefined;
}

function refusePackage(specifier: string, name: string, from: Folder | undefined): string | undefined {
  if (isOneOf(specifier, ["maitred"])) return "inside src import the file itself, by its path.";
  if (isOneOf(specifier, TEST_PACKAGES)) return "only x.test.ts and x.contract.ts may use test tools.";
  if (isOneOf(specifier, EDGE_PACKAGES) && from?.edge !== true) {
    return `input is parsed once, at the edges (client, cli, rest, dashboard, adapters, main); ${name} gets values that are already right.`;
  }
  if (from?.world === "pure" && specifier.startsWith("node:")) {
    return `${from.is} and has no disk, network, clock or process; take a port in ports/ instead and let the role above use it.`;
  }
  if (from?.world === "ports" && PORTS_INSTEAD_OF.has(specifier)) {
    return `${from.is} and reaches the outside world only through ports; put the call into adapters/ behind an interface of ports/.`;
  }
  return undefined;
}

/** What the light roots load at start, however indirectly, holds no edge package. Dynamic imports are free. */
function checkLightRoots(facts: ReadonlyMap<string, ModuleFacts>): string[] {
  return LIGHT_ROOTS.flatMap((root) => {
    const cameFrom = new Map<string, string | undefined>([[root, undefined]]);
    const problems: string[] = [];
    for (const file of cameFrom.keys()) {
      for (const it of facts.get(file)?.imports ?? []) {
        if (it.kind !== "load") continue;
        if (isRelative(it)) {
          const target = resolve(file, it);
          if (!cameFrom.has(target)) cameFrom.set(target, file);
        } else if (isOneOf(it.specifier, EDGE_PACKAGES)) {
          problems.push(
            `${root} loads ${it.specifier} when it starts (${chainTo(file, cameFrom).join(" → ")}): 15 MB and more, in a process of which there are many; import it later, or split what needs it from what does not.`,
          );
        }
      }
    }
    return problems;
  });
}

function chainTo(file: string, cameFrom: ReadonlyMap<string, string | undefined>): string[] {
  const before = cameFrom.get(file);
  return before === undefined ? [file] : [...chainTo(before, cameFrom), file];
}

const isTest = (file: string) => /\.(test|contract)\.ts$/.test(file);
const isRelative = (it: Import) => it.specifier.startsWith(".");
const resolve = (file: string, it: Import) => posix.join(posix.dirname(file), it.specifier);
const folderOf = (file: string) => /^src\/([^/]+)\//.exec(file)?.[1];
const isOneOf = (specifier: string, packages: readonly string[]) =>
  packages.some((name) => specifier === name || specifier.startsWith(`${name}/`));

if (import.meta.main) {
  const files = globSync("src/**/*.ts").sort();
  const problems = checkFloors(new Map(files.map((file) => [file, readFileSync(file, "utf8")])));
  for (const problem of problems) console.error(problem);
  console.log(`floors: ${files.length} files, ${problems.length} problems`);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
