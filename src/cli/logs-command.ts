/** `maitred logs`: lines of the log files of an instance, also of one that is stopped. Says so when there is nothing to show. */
import type { Command } from "commander";
import { suggestion } from "../base/did-you-mean.ts";
import { ServeError } from "../base/serve-error.ts";
import { parseDuration } from "./arguments.ts";
import { addChoiceOptions, type Common } from "./options.ts";
import type { Choice, World } from "./world.ts";

interface LogFlags extends Choice {
  readonly follow?: true;
  readonly since?: string;
}

export const addLogs = (program: Command, { world }: Common): void => {
  addChoiceOptions(program.command("logs [of]"))
    .description("log lines of all processes, or of one backend, replica, proxy, the agent or the controller")
    .option("-f, --follow", "go on with new lines until Ctrl-C")
    .option("--since <duration>", "only lines of the last 30s, 5m, 2h")
    .addHelpText(
      "after",
      "\nExamples:\n  maitred logs                       all processes\n  maitred logs iris:v1 -f            the replicas of a backend, as they write\n  maitred logs controller --since 5m",
    )
    .action(async (of: string | undefined, flags: LogFlags) => {
      const sinceMs = flags.since === undefined ? undefined : parseDuration(flags.since);
      const stateDir = await world.findStateDir(flags);
      await sayUnlessKnown(world, { stateDir, of, isWaiting: flags.follow === true });
      let shown = 0;
      await world.logs({ stateDir, of, follow: flags.follow === true, sinceMs }, (line) => {
        shown += 1;
        world.terminal.out(`${line}\n`);
      });
      if (shown === 0) {
        const when = flags.since === undefined ? "" : ` of the last ${flags.since}`;
        world.terminal.err(`there are no lines${when}\n`);
      }
    });
};

/** Who follows may ask for a process that has yet to come; nobody else can have meant one that is not there. */
const sayUnlessKnown = async (
  world: World,
  wanted: { readonly stateDir: string; readonly of: string | undefined; readonly isWaiting: boolean },
): Promise<void> => {
  const { stateDir, of, isWaiting } = wanted;
  if (of === undefined || (await world.loggingProcesses({ stateDir, of })).length > 0) return;
  const all = await world.loggingProcesses({ stateDir, of: undefined });
  const backends = [...new Set(all.filter((name) => name.includes("#")).map((name) => name.replace(/#\d+$/, "")))];
  const known = `These have: ${all.join(", ") || "none"}.`;
  const sentence = `no process or backend "${of}" has written a log.`;
  if (isWaiting) world.terminal.err(`${sentence} ${known} Waiting for its first line.\n`);
  else throw new ServeError("process-unknown", `${sentence}${suggestion(of, [...all, ...backends])} ${known}`);
};
