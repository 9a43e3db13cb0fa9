/** Options that many commands share, and how a command runs one change. */
import { type Command, Option } from "commander";
import type { ServeClient } from "../client/client.ts";
import type { Goal } from "../model/calls.ts";
import { parseDuration } from "./arguments.ts";
import { paintOf } from "./terminal.ts";
import type { Choice, World } from "./world.ts";

/** The status that the process exits with; a command may set it. */
export interface Outcome {
  status: number;
}

export interface Common {
  readonly world: World;
  readonly outcome: Outcome;
}

export interface InstanceFlags extends Choice {
  readonly json?: true;
}

export interface ChangeFlags extends InstanceFlags {
  readonly wait: boolean;
  readonly timeout?: string;
  readonly goal?: string;
}

/** What stands behind the help of a command: lines that somebody can type. */
export const examples = (...lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => `  maitred ${line}`).join("\n")}`;

/** `--instance` and `--state-dir`: which instance is meant. */
export const addChoiceOptions = (command: Command): Command =>
  command
    .addOption(
      new Option("-i, --instance <name>", "the instance; default: the only one that runs").env("MAITRED_INSTANCE"),
    )
    .addOption(
      new Option("--state-dir <folder>", "the instance whose state lies there: tells two of one name apart").env(
        "MAITRED_STATE_DIR",
      ),
    );

/** Which instance, and `--json`. */
export const addInstanceOptions = (command: Command): Command =>
  addChoiceOptions(command).option("--json", "print one JSON document");

/** The options of a command that changes something. */
export const addChangeOptions = (command: Command): Command =>
  addInstanceOptions(command)
    .option("--no-wait", "return when the change is saved, not when it is in force")
    .option("--timeout <duration>", "how long to wait (500ms, 30s, 5m); then exit 3, the change goes on")
    .option("--goal <id>", "idempotency key: the same id again is the same change");

export const timeoutOf = (flags: { readonly timeout?: string }): number | undefined =>
  flags.timeout === undefined ? undefined : parseDuration(flags.timeout);

/** Connects, runs the change, prints its goal. */
export const change = async (
  { world }: Common,
  flags: ChangeFlags,
  options: {
    readonly done: string;
    readonly call: (
      client: ServeClient,
      wait: {
        readonly wait: "reached" | "saved";
        readonly timeoutMs: number | undefined;
        readonly goalId: string | undefined;
      },
    ) => Promise<Goal>;
  },
): Promise<void> => {
  const timeoutMs = timeoutOf(flags);
  await withClient(world, flags, async (client) => {
    const goal = await options.call(client, { wait: flags.wait ? "reached" : "saved", timeoutMs, goalId: flags.goal });
    const paint = paintOf(world.terminal);
    world.terminal.out(
      flags.json
        ? `${JSON.stringify(goal)}\n`
        : `${paint.green(goal.state === "pending" ? "saved, not yet in force:" : "done")} ${options.done} ${paint.dim(`goal ${goal.id}`)}\n`,
    );
  });
};

export const withClient = async <T>(
  world: World,
  flags: InstanceFlags,
  use: (client: ServeClient) => Promise<T>,
): Promise<T> => {
  const client = await world.connect(flags);
  try {
    return await use(client);
  } finally {
    await client.close();
  }
};
