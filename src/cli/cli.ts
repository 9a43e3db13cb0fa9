/**
 * The command line. Every command is one call of the client; results on stdout, errors on stderr, exit status as in `EXIT`.
 * Precedence of values: flag, environment (`MAITRED_*`, `PORT`, `HOST`), app file, default.
 */
import { Command, CommanderError } from "commander";
import { ServeError } from "../base/serve-error.ts";
import { addAppCommands } from "./app-commands.ts";
import { addBackendCommands } from "./backend-commands.ts";
import { addEndpointCommands } from "./endpoint-commands.ts";
import { addInstanceCommands } from "./instance-commands.ts";
import type { Outcome } from "./options.ts";
import { EXIT, reportError } from "./terminal.ts";
import type { World } from "./world.ts";

export { reportError, type Terminal } from "./terminal.ts";
export type { FoundApp, FoundCode, Launched, LaunchOptions, LogOptions, World } from "./world.ts";

export const runCli = async (argv: readonly string[], world: World): Promise<number> => {
  const outcome: Outcome = { status: EXIT.done };
  const program = buildProgram(world, outcome);
  try {
    await program.parseAsync(argv as string[], { from: "user" });
    return outcome.status;
  } catch (error) {
    const format = argv.includes("--json") ? "json" : "text";
    if (!(error instanceof CommanderError)) return reportError(world.terminal, error, format);
    if (error.exitCode === 0) return EXIT.done; // it has printed help or the version
    return error.code === "commander.help"
      ? EXIT.usage
      : reportError(world.terminal, usageOf(error, commandIn(program, argv)), format);
  }
};

/** `error: unknown command 'statu'\n(Did you mean status?)` as one sentence. A word that is only cut short means what begins with it. */
const usageOf = ({ message }: CommanderError, command: Command): ServeError => {
  const [what = "", hint] = message.replace(/^error: /, "").split("\n");
  const [, word] = /^unknown (?:command|option) '(.+)'$/.exec(what) ?? [];
  const begun = word === undefined ? [] : wordsOf(command).filter((known) => known.startsWith(word));
  const near = begun.length === 0 ? hint?.replace(/^\((.*)\)$/, "$1") : `Did you mean ${listed(begun)}?`;
  const meant = near === undefined ? "" : ` ${near}`;
  return new ServeError("usage", `${what.replace(/\.$/, "")}.${meant} --help shows examples.`);
};

/** As the parser itself says it. */
const listed = (words: readonly string[]): string =>
  words.length === 1 ? `${words[0]}` : `one of ${words.toSorted().join(", ")}`;

/** The command that `argv` names, as far as it is known. */
const commandIn = (program: Command, argv: readonly string[]): Command =>
  argv.reduce((at, word) => at.commands.find((command) => command.name() === word) ?? at, program);

const wordsOf = (command: Command): readonly string[] => {
  const help = command.createHelp();
  const options = help.visibleOptions(command).flatMap(({ long }) => long ?? []);
  return [...help.visibleCommands(command).map((known) => known.name()), ...options];
};

const buildProgram = (world: World, outcome: Outcome): Command => {
  const program = new Command("maitred")
    .description(
      "Serves TypeScript functions, classes and models: replicas that restart, traffic splitting, shadows, nothing lost.",
    )
    .version(world.version)
    .exitOverride()
    .configureOutput({ writeOut: world.terminal.out, writeErr: world.terminal.err, outputError: () => {} })
    .showSuggestionAfterError()
    .addHelpText("after", EXAMPLES);
  addAppCommands(program, { world, outcome });
  addInstanceCommands(program, { world, outcome });
  addBackendCommands(program, { world, outcome });
  addEndpointCommands(program, { world, outcome });
  return program;
};

const EXAMPLES = `
Examples:
  maitred run ./hello.ts                       serve one file in the foreground
  maitred start --instance shop                a detached instance
  maitred plan ./app.ts                        what deploy would change there
  maitred deploy ./app.ts                      bring it to what the file says
  maitred backend create iris:v2 ./iris.ts#Iris --args '["v2.onnx"]'
  maitred traffic set iris iris:v1=90% iris:v2=10%
  maitred status

Exit status: 0 done, 1 failed, 2 usage, 3 not done at --timeout, 4 no such instance.`;
