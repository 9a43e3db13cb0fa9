/** Commands about the instance: run, start, stop, shutdown, status, goal, logs, explain. */
import { type Command, Option } from "commander";
import { ServeError } from "../base/serve-error.ts";
import type { HttpConfig } from "../model/records.ts";
import type { Status } from "../model/status.ts";
import { parseCount, parseDuration, parsePort } from "./arguments.ts";
import { addInstanceOptions, type Common, type InstanceFlags, timeoutOf, withClient } from "./options.ts";
import { runApp } from "./run-app.ts";
import { showStatus } from "./show-status.ts";
import { paintOf, table } from "./terminal.ts";

interface HttpFlags {
  readonly host?: string;
  readonly port?: string;
  readonly proxies?: string;
}

export const addInstanceCommands = (program: Command, common: Common): void => {
  addRun(program, common);
  addStart(program, common);
  addEnds(program, common);
  addStatus(program, common);
  addGoal(program, common);
  addLogs(program, common);
};

const addHttpOptions = (command: Command): Command =>
  command
    .addOption(
      new Option("--host <address>", "address that answers HTTP; 0.0.0.0 in a container (default 127.0.0.1)").env(
        "HOST",
      ),
    )
    .addOption(new Option("--port <port>", "port that answers HTTP; 0 takes a free one (default 8000)").env("PORT"))
    .option("--proxies <count>", "HTTP proxy processes (default 1)");

const httpOf = (flags: HttpFlags): Partial<HttpConfig> => ({
  ...(flags.host === undefined ? {} : { host: flags.host }),
  ...(flags.port === undefined ? {} : { port: parsePort(flags.port) }),
  ...(flags.proxies === undefined ? {} : { proxiesPerNode: parseCount(flags.proxies) }),
});

const addRun = (program: Command, { world, outcome }: Common): void => {
  addHttpOptions(program.command("run <file>"))
    .description("serve an app file in the foreground; the instance ends, and is erased, with the command")
    .option("-i, --instance <name>", "name of the instance (default: the app's name)")
    .option("--timeout <duration>", "how long the app may take until it serves")
    .addHelpText(
      "after",
      `
The file's default export is a function, a class, an object with fetch(request), or defineApp({ … }).
Lines of a file try.txt beside it are printed as examples, $URL replaced.

Examples:
  maitred run ./hello.ts
  PORT=9000 maitred run ./app.ts --proxies 2`,
    )
    .action(async (file: string, flags: HttpFlags & { instance?: string; timeout?: string }) => {
      outcome.status = await runApp(world, {
        file,
        instance: flags.instance,
        http: httpOf(flags),
        timeoutMs: timeoutOf(flags),
      });
    });
};

const addStart = (program: Command, { world }: Common): void => {
  addHttpOptions(program.command("start"))
    .description("start a detached instance, or go on with one that was stopped")
    .addOption(new Option("-i, --instance <name>", "name of the instance").env("MAITRED_INSTANCE").default("default"))
    .addOption(
      new Option("--state-dir <folder>", "where its state lies (default: $XDG_STATE_HOME/maitred/<name>)").env(
        "MAITRED_STATE_DIR",
      ),
    )
    .option("--api <host:port>", "also answer REST on TCP, with the token of the state folder")
    .option("--json", "print one JSON document")
    .addHelpText(
      "after",
      "\nExamples:\n  maitred start --instance shop --port 8080 --proxies 2\n  maitred start --api 127.0.0.1:8001",
    )
    .action(async (flags: HttpFlags & { instance: string; stateDir?: string; api?: string; json?: true }) => {
      const started = await world.launch({
        instance: flags.instance,
        http: httpOf(flags),
        stateDir: flags.stateDir,
        api: flags.api === undefined ? undefined : parseListener(flags.api),
        life: "detached",
      });
      const { client, instance, alreadyRunning } = started;
      await client.untilServing();
      const { urls } = client;
      await client.close();
      if (flags.json)
        world.terminal.out(
          `${JSON.stringify({ instance: instance.name, stateDir: instance.stateDir, alreadyRunning, urls })}\n`,
        );
      else {
        const paint = paintOf(world.terminal);
        world.terminal.out(
          `${paint.green(alreadyRunning ? "runs already" : "started")} ${instance.name} ${urls.join(" ")}\n${paint.dim(`state in ${instance.stateDir}`)}\n`,
        );
      }
    });
};

const parseListener = (text: string): { readonly host: string; readonly port: number } => {
  const at = text.lastIndexOf(":");
  if (at < 1) throw new ServeError("usage", `--api must be host:port, got "${text}".`);
  return { host: text.slice(0, at).replace(/^\[(.+)\]$/, "$1"), port: parsePort(text.slice(at + 1)) };
};

const addEnds = (program: Command, { world }: Common): void => {
  addInstanceOptions(program.command("stop"))
    .description("drain and end every process; the state is kept for the next start")
    .action((flags: InstanceFlags) =>
      withClient(world, flags, async (client) => {
        await client.stop();
        world.terminal.out(
          flags.json ? `${JSON.stringify({ stopped: true })}\n` : "stopped; start it again with: maitred start\n",
        );
      }),
    );
  addInstanceOptions(program.command("shutdown"))
    .description("drain and end every process, and erase the state")
    .option("--yes", "do not ask: the state cannot be brought back")
    .action((flags: InstanceFlags & { yes?: true }) =>
      withClient(world, flags, async (client) => {
        if (!flags.yes)
          throw new ServeError(
            "usage",
            "shutdown erases every backend, endpoint and goal of the instance. Say --yes, or use `maitred stop` to keep them.",
          );
        await client.shutdown();
        world.terminal.out(flags.json ? `${JSON.stringify({ erased: true })}\n` : "ended and erased\n");
      }),
    );
};

const addStatus = (program: Command, { world }: Common): void => {
  addInstanceOptions(program.command("status"))
    .description("endpoints with weights and shadows, backends with replicas, and every process")
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
    .action((target: string, flags: InstanceFlags) =>
      withClient(world, flags, async (client) => {
        const reasons = await client.explain(target);
        world.terminal.out(
          flags.json
            ? `${JSON.stringify(reasons)}\n`
            : reasons.map((entry) => `${entry.timestamp}  ${entry.target}  ${entry.reason}\n`).join("") ||
                `nothing was decided about "${target}" since this controller began\n`,
        );
      }),
    );
};

const addGoal = (program: Command, { world }: Common): void => {
  const goal = program.command("goal").description("what changes want to become true");
  addInstanceOptions(goal.command("list"))
    .description("goals that are kept, newest first")
    .action((flags: InstanceFlags) =>
      withClient(world, flags, async (client) => {
        const { goals } = await client.status();
        const rows = [
          ["id", "state", "progress", ""],
          ...goals.map((entry) => [
            entry.id,
            entry.state,
            entry.progress === undefined ? "-" : `${entry.progress.done}/${entry.progress.total}`,
            entry.error?.message ?? entry.laggards?.join(", ") ?? "",
          ]),
        ];
        world.terminal.out(flags.json ? `${JSON.stringify(goals)}\n` : table(rows, paintOf(world.terminal)));
      }),
    );
  addInstanceOptions(goal.command("wait <id>"))
    .description("wait until a goal is reached; exit 1 when it failed or was superseded, 3 at --timeout")
    .option("--timeout <duration>", "how long to wait (500ms, 30s, 5m)")
    .action((id: string, flags: InstanceFlags & { timeout?: string }) =>
      withClient(world, flags, async (client) => {
        const reached = await client.waitForGoal(id, { timeoutMs: timeoutOf(flags) });
        world.terminal.out(flags.json ? `${JSON.stringify(reached)}\n` : `reached ${reached.id}\n`);
      }),
    );
};

const addLogs = (program: Command, { world }: Common): void => {
  program
    .command("logs [of]")
    .description("log lines of all processes, or of one backend, replica, proxy, the agent or the controller")
    .addOption(
      new Option("-i, --instance <name>", "the instance; default: the only one that runs").env("MAITRED_INSTANCE"),
    )
    .option("-f, --follow", "go on with new lines until Ctrl-C")
    .option("--since <duration>", "only lines of the last 30s, 5m, 2h")
    .action(async (of: string | undefined, flags: { instance?: string; follow?: true; since?: string }) => {
      const { stateDir } = await world.find(flags.instance);
      const sinceMs = flags.since === undefined ? undefined : parseDuration(flags.since);
      await world.logs({ stateDir, of, follow: flags.follow === true, sinceMs }, (line) =>
        world.terminal.out(`${line}\n`),
      );
    });
};
