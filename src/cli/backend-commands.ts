/** `maitred backend …`: create, list, update, scale, restart, delete. */
import type { Command } from "commander";
import { parseArgs, parseCount, parseModule, parseSettings } from "./arguments.ts";
import {
  addChangeOptions,
  addInstanceOptions,
  type ChangeFlags,
  type Common,
  change,
  examples,
  type InstanceFlags,
  withClient,
} from "./options.ts";
import { paintOf, table } from "./terminal.ts";

export const addBackendCommands = (program: Command, common: Common): void => {
  const backend = program
    .command("backend")
    .description("code that answers queries, in replica processes")
    .addHelpText("after", examples("backend list", "backend create iris:v2 ./iris.ts#Iris", "backend scale iris:v2 4"));

  addChangeOptions(backend.command("create <tag> <module>"))
    .description("start replicas of a module's export")
    .option("--args <json>", "constructor arguments, a JSON array")
    .option("--set <key=value...>", "configuration fields; of one given twice the last counts")
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
    .requiredOption("--set <key=value...>", "fields; values are JSON or text; of one given twice the last counts")
    .addHelpText(
      "after",
      `${UNDOING}\nExamples:\n  maitred backend update iris:v1 --set maxConcurrentQueries=16\n  maitred backend update iris:v1 --set 'userConfig={"threshold":0.7}'`,
    )
    .action((tag: string, flags: ChangeFlags & { set: string[] }) =>
      change(common, flags, {
        done: `backend ${tag} has its new configuration`,
        call: (client, wait) => client.updateBackendConfig(tag, parseSettings(flags.set), wait),
      }),
    );

  addReplicaCommands(backend, common);
  addList(backend, common);
};

const UNDOING = `
To undo a field set it to its default: env={}, nodeArgs=[], numReplicas=1 (which ends autoscaling too). userConfig=null is handed
to reconfigure(), and is nothing to code without it. envFile, cwd, codeVersion, maxBatchSize and batchWaitTimeoutMs have no default
to set: null takes them away, as in cwd=null.
`;

const addReplicaCommands = (backend: Command, common: Common): void => {
  addChangeOptions(backend.command("scale <tag> <replicas>"))
    .description("set the number of replicas")
    .addHelpText("after", examples("backend scale iris:v2 4", "backend scale iris:v2 4 --timeout 30s"))
    .action((tag: string, replicas: string, flags: ChangeFlags) => {
      const numReplicas = parseCount(replicas);
      return change(common, flags, {
        done: `backend ${tag} runs ${numReplicas}`,
        call: (client, wait) => client.updateBackendConfig(tag, { numReplicas }, wait),
      });
    });

  addChangeOptions(backend.command("restart <tag>"))
    .description("replace every replica, a few at a time")
    .addHelpText("after", examples("backend restart iris:v2"))
    .action((tag: string, flags: ChangeFlags) =>
      change(common, flags, {
        done: `backend ${tag} restarted`,
        call: (client, wait) => client.restartBackend(tag, wait),
      }),
    );

  addChangeOptions(backend.command("delete <tag>"))
    .description("drain and end its replicas, forget it; refused while an endpoint names it")
    .addHelpText("after", examples("backend delete iris:v1", "backend delete iris:v1 --force"))
    .option("--force", "kill instead of draining")
    .action((tag: string, flags: ChangeFlags & { force?: true }) =>
      change(common, flags, {
        done: `backend ${tag} is gone`,
        call: (client, wait) => client.deleteBackend(tag, { ...wait, force: flags.force === true }),
      }),
    );
};

const addList = (backend: Command, common: Common): void => {
  addInstanceOptions(backend.command("list"))
    .description("backends with wanted and running replicas")
    .addHelpText("after", examples("backend list", "backend list --json"))
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
