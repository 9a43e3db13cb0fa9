/**
 * The command line. Every command is one call of the client; results on stdout, errors on stderr, exit status as in `EXIT`.
 * Precedence of values: flag, environment (`MAITRED_*`, `PORT`, `HOST`), app file, default.
 */
import { Command, CommanderError } from "commander";
import { addAppCommands } from "./app-commands.ts";
import { addBackendCommands } from "./backend-commands.ts";
import { addEndpointCommands } from "./endpoint-commands.ts";
import { addInstanceCommands } from "./instance-commands.ts";
import type { Outcome } from "./options.ts";
import { EXIT, reportError } from "./terminal.ts";
import type { World } from "./world.ts";

export { reportError, type Terminal } from "./terminal.ts";
export type { FoundApp, Launched, LaunchOptions, LogOptions, World } from "./world.ts";

export const runCli = async (argv: readonly string[], world: World): Promise<number> => {
  const outcome: Outcome = { status: EXIT.done };
  const program = buildProgram(world, outcome);
  try {
    await program.parseAsync(argv as string[], { from: "user" });
    return outcome.status;
  } catch (error) {
    if (error instanceof CommanderError) {
      // commander has printed help, the version or the usage error itself
      return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    }
    return reportError(world.terminal, error, argv.includes("--json") ? "json" : "text");
  }
};

const buildProgram = (world: World, outcome: Outcome): Command => {
  const program = new Command("maitred")
    .description(
      "Serves TypeScript functions, classes and models: replicas that restart, traffic splitting, shadows, nothing lost.",
    )
    .version(world.version)
    .exitOverride()
    .configureOutput({ writeOut: world.terminal.out, writeErr: world.terminal.err })
    .showSuggestionAfterError()
    .showHelpAfterError("Run with --help for examples.")
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
