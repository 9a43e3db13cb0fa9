/** Commands about the instance: run, start, stop, shutdown, status, goal, logs, explain. */
import type { Command } from "commander";
import { isServeError, ServeError } from "../base/serve-error.ts";
import type { InstanceFile } from "../model/places.ts";
import type { Status } from "../model/status.ts";
import { addHttpOptions, type HttpFlags, httpOf, metricsOf } from "./http-options.ts";
import { addLogs } from "./logs-command.ts";
import { addInstanceOptions, type Common, examples, type InstanceFlags, timeoutOf, withClient } from "./options.ts";
import { runApp } from "./run-app.ts";
import { showStatus } from "./show-status.ts";
import { addStart } from "./start-command.ts";
import { paintOf, table } from "./terminal.ts";
import type { Erasable, World } from "./world.ts";

export const addInstanceCommands = (program: Command, common: Common): void => {
  addRun(program, common);
  addStart(program, common);
  addEnds(program, common);
  addStatus(program, common);
  addGoal(program, common);
  addLogs(program, common);
};

const addRun = (program: Command, { world, outcome }: Common): void => {
  addHttpOptions(program.command("run <file>"))
    .description("serve an app file in the foreground; the instance ends, and is erased, with the command")
    .option("-i, --instance <name>", "name of the instance (default: the app's name)")
    .option("--timeout <duration>", "how long the app may take until it serves")
    .option(
      "--watch",
      "deploy anew what changes, a few replicas at a time; what is broken leaves the version before serving",
    )
    .addHelpText(
      "after",
      `
The file's default export is a function, a class, an object with fetch(request), or defineApp({ … }).
Lines of a file try.txt beside it are printed as examples, $URL replaced.

Examples:
  maitred run ./hello.ts --watch
  PORT=9000 maitred run ./app.ts --proxies 2`,
    )
    .action(async (file: string, flags: HttpFlags & { instance?: string; timeout?: string; watch?: true }) => {
      const http = httpOf(flags);
      if (http.proxiesPerNode === 0) {
        const cure = "For handles alone there is a detached instance: maitred start --proxies 0.";
        throw new ServeError("usage", `run answers HTTP, and needs a proxy for it. ${cure}`);
      }
      outcome.status = await runApp(world, {
        file,
        instance: flags.instance,
        http,
        metrics: metricsOf(flags),
        watch: flags.watch ? "yes" : "no",
        timeoutMs: timeoutOf(flags),
      });
    });
};

const addEnds = (program: Command, { world }: Common): void => {
  addInstanceOptions(program.command("stop"))
    .description("drain and end every process; the state is kept for the next start")
    .addHelpText("after", examples("stop", "stop --instance shop && maitred start --instance shop --port 8080"))
    .action((flags: InstanceFlags) =>
      withClient(world, flags, async (client) => {
        const instance = await world.find(flags);
        await client.stop();
        world.terminal.out(
          flags.json
            ? `${JSON.stringify({ stopped: true })}\n`
            : `stopped ${instance.name}; start it again with: ${startCommand(world, instance)}\n`,
        );
      }),
    );
  addInstanceOptions(program.command("shutdown"))
    .description("drain and end every process, and erase the state; also of an instance that is stopped")
    .addHelpText("after", examples("shutdown --instance shop --yes"))
    .option("--yes", "do not ask: the state cannot be brought back")
    .action(async (flags: InstanceFlags & { yes?: true }) => {
      const erasable = await world.findErasable(flags);
      const { kind, name, stateDir } = erasable;
      if (!flags.yes)
        throw new ServeError(
          "usage",
          `shutdown erases every backend, endpoint and goal of instance "${name}" (state in ${stateDir}). Say --yes, or ${kind === "stopped" ? "leave it: it is stopped" : "use `maitred stop` to keep them"}.`,
        );
      if (kind === "stopped") await world.eraseStopped(erasable);
      else if (kind === "orphaned") await world.eraseRunning(erasable);
      else await shutdown(world, flags, erasable);
      const did = kind === "stopped" ? `erased ${name}, which did not run` : `ended and erased ${name}`;
      world.terminal.out(flags.json ? `${JSON.stringify({ erased: true, stateDir })}\n` : `${did}: ${stateDir}\n`);
    });
};

/** A store that is damaged, or cannot be written, is to go with the rest. */
const shutdown = async (world: World, flags: InstanceFlags, erasable: Erasable): Promise<void> => {
  try {
    await withClient(world, flags, (client) => client.shutdown());
  } catch (error) {
    if (!isServeError(error) || error.code !== "store-unavailable") throw error;
    await world.eraseRunning(erasable);
  }
};

const startCommand = (world: World, { name, stateDir }: InstanceFile): string => {
  const place = stateDir === world.defaultStateDir(name) ? "" : ` --state-dir ${stateDir}`;
  return `maitred start --instance ${name}${place}`;
};

const addStatus = (program: Command, { world }: Common): void => {
  addInstanceOptions(program.command("status"))
    .description("endpoints with weights and shadows, backends with replicas, and every process")
    .addHelpText("after", examples("status", "status --instance shop --json"))
    .action((flags: InstanceFlags) =>
      withClient(world, flags, async (client) => {
        const status = (await client.status()) as Status;
        world.terminal.out(
          flags.json ? `${JSON.stringify(status, undefined, 2)}\n` : showStatus(status, paintOf(world.terminal)),
        );
      }),
    );
  addInstanceOptions(program.command("explain <target>"))
    .description("the last decision about a backend, endpoint, replica, proxy or goal")
    .addHelpText("after", examples("explain iris:v2", "explain iris:v2#7"))
    .action((target: string, flags: InstanceFlags) =>
      withClient(world, flags, async (client) => {
        const reasons = await client.explain(target);
        world.terminal.out(
          flags.json
            ? `${JSON.stringify(reasons)}\n`
            : reasons.map((entry) => `${entry.timestamp}  ${entry.target}  ${entry.reason}\n`).join(""),
        );
      }),
    );
};

const addGoal = (program: Command, { world }: Common): void => {
  const goal = program
    .command("goal")
    .description("what changes want to become true")
    .addHelpText("after", examples("goal list", "goal wait 6f1c2a --timeout 30s"));
  addInstanceOptions(goal.command("list"))
    .description("goals that are kept, newest first")
    .addHelpText("after", examples("goal list", "goal list --json"))
    .action((flags: InstanceFlags) =>
      withClient(world, flags, async (client) => {
        const goals = (await client.status()).goals.toReversed();
        const rows = [
          ["id", "state", "progress", ""],
          ...goals.map((entry) => [
            entry.id,
            entry.state,
            entry.progress === undefined ? "-" : `${entry.progress.done}/${entry.progress.total}`,
            entry.error?.message ?? entry.reason ?? entry.laggards?.join(", ") ?? "",
          ]),
        ];
        world.terminal.out(flags.json ? `${JSON.stringify(goals)}\n` : table(rows, paintOf(world.terminal)));
      }),
    );
  addInstanceOptions(goal.command("wait <id>"))
    .description("wait until a goal is reached; exit 1 when it failed or was superseded, 3 at --timeout")
    .addHelpText("after", examples("goal wait 6f1c2a", "goal wait 6f1c2a --timeout 30s"))
    .option("--timeout <duration>", "how long to wait (500ms, 30s, 5m)")
    .action((id: string, flags: InstanceFlags & { timeout?: string }) => {
      const timeoutMs = timeoutOf(flags);
      return withClient(world, flags, async (client) => {
        const reached = await client.waitForGoal(id, { timeoutMs });
        world.terminal.out(flags.json ? `${JSON.stringify(reached)}\n` : `reached ${reached.id}\n`);
      });
    });
};
