/** `maitred backend …`: create, list, update, scale, restart, delete. */
import type { Command } from "commander";
import { parseArgs, parseCount, parseModule, parseSettings } from "./arguments.ts";
import {
  addChangeOptions,
  addInstanceOptions,
  type ChangeFlags,
  type Common,
  change,
  type InstanceFlags,
  withClient,
} from "./options.ts";
import { paintOf, table } from "./terminal.ts";

export const addBackendCommands = (program: Command, common: Common): void => {
  const backend = program.command("backend").description("code that answers queries, in replica processes");

  addChangeOptions(backend.command("create <tag> <module>"))
    .description("start replicas of a module's export")
    .option("--args <json>", "constructor arguments, a JSON array")
    .option("--set <key=value...>", "configuration fields")
    .addHelpText(
      "after",
      `\nExamples:\n  maitred backend create hello ./hello.ts\n  maitred backend create iris:v2 ./iris.ts#Iris --args '["v2.onnx"]' --set numReplicas=2 maxConcurrentQueries=8`,
    )
    .action((tag: string, module: string, flags: ChangeFlags & { args?: string; set?: string[] }) => {
      const reference = {
        ...parseModule(module),
        ...(flags.args === undefined ? {} : { args: parseArgs(flags.args) }),
      };
      return change(common, flags, {
        done: `backend ${tag} runs`,
        call: (client, wait) =>
          client.createBackend(tag, reference as never, parseSettings(flags.set ?? []) as never, wait),
      });
    });

  addChangeOptions(backend.command("update <tag>"))
    .description("change configuration fields, the others stay")
    .requiredOption("--set <key=value...>", "fields; values are JSON or text")
    .addHelpText(
      "after",
      "\nExamples:\n  maitred backend update iris:v1 --set maxConcurrentQueries=16\n  maitred backend update iris:v1 --set 'userConfig={\"threshold\":0.7}'",
    )
    .action((tag: string, flags: ChangeFlags & { set: string[] }) =>
      change(common, flags, {
        done: `backend ${tag} has its new configuration`,
        call: (client, wait) => client.updateBackendConfig(tag, parseSettings(flags.set), wait),
      }),
    );

  addChangeOptions(backend.command("scale <tag> <replicas>"))
    .description("set the number of replicas")
    .action((tag: string, replicas: string, flags: ChangeFlags) => {
      const numReplicas = parseCount(replicas);
      return change(common, flags, {
        done: `backend ${tag} runs ${numReplicas}`,
        call: (client, wait) => client.updateBackendConfig(tag, { numReplicas }, wait),
      });
    });

  addChangeOptions(backend.command("restart <tag>"))
    .description("replace every replica, a few at a time")
    .action((tag: string, flags: ChangeFlags) =>
      change(common, flags, {
        done: `backend ${tag} restarted`,
        call: (client, wait) => client.restartBackend(tag, wait),
      }),
    );

  addChangeOptions(backend.command("delete <tag>"))
    .description("drain and end its replicas, forget it; refused while an endpoint names it")
    .option("--force", "kill instead of draining")
    .action((tag: string, flags: ChangeFlags & { force?: true }) =>
      change(common, flags, {
        done: `backend ${tag} is gone`,
        call: (client, wait) => client.deleteBackend(tag, { ...wait, force: flags.force === true }),
      }),
    );

  addInstanceOptions(backend.command("list"))
    .description("backends with wanted and running replicas")
    .action((flags: InstanceFlags) =>
      withClient(common.world, flags, async (client) => {
        const backends = await client.listBackends();
        const rows = [
          ["tag", "running", "goal"],
          ...backends.map((entry) => [
            entry.tag,
            `${entry.replicas.running}/${entry.replicas.wanted}`,
            entry.goal?.state ?? "-",
          ]),
        ];
        common.world.terminal.out(
          flags.json ? `${JSON.stringify(backends)}\n` : table(rows, paintOf(common.world.terminal)),
        );
      }),
    );
};
