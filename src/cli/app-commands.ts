/** `maitred deploy app.ts` and `plan app.ts`: an app file against an instance that runs. */
import type { Command } from "commander";
import type { AppPlan } from "../client/client.ts";
import type { AppChange } from "../model/app.ts";
import { applyPlan } from "./apply-plan.ts";
import {
  addChangeOptions,
  addInstanceOptions,
  type ChangeFlags,
  type Common,
  type InstanceFlags,
  timeoutOf,
  withClient,
} from "./options.ts";
import { openStartWindow } from "./start-window.ts";
import { paintOf, table } from "./terminal.ts";
import type { World } from "./world.ts";

export const addAppCommands = (program: Command, common: Common): void => {
  addDeploy(program, common);
  addPlan(program, common);
};

const addDeploy = (program: Command, { world }: Common): void => {
  addChangeOptions(program.command("deploy <file>"))
    .description(
      "bring what an app owns to what its file says, in one step; live values that the file has not changed stay",
    )
    .addHelpText(
      "after",
      `
New code under the same tag replaces its replicas, a few at a time; when the new ones fail, the old ones go on serving.
What has left the file goes. Endpoints and backends that the app does not own are not touched.

Examples:
  maitred deploy ./app.ts
  maitred deploy ./app.ts --instance shop --timeout 5m`,
    )
    .action(async (file: string, flags: ChangeFlags) => {
      const wait = { wait: flags.wait ? "reached" : "saved", timeoutMs: timeoutOf(flags), goalId: flags.goal } as const;
      const plan = await loadApp(world, file);
      await withClient(world, flags, async (client) => {
        const goal = await applyPlan(world, { client, plan }, wait);
        if (flags.json) return world.terminal.out(`${JSON.stringify(goal)}\n`);
        const paint = paintOf(world.terminal);
        const id = paint.dim(`goal ${goal.id}`);
        const { changes = [] } = goal;
        if (changes.length === 0) {
          return world.terminal.out(`${paint.green("nothing to do")}: ${plan.name} is as ${file} says ${id}\n`);
        }
        const word = goal.state === "pending" ? "saved" : "deployed";
        world.terminal.out(`${paint.green(word)} ${plan.name} ${id}\n${changes.map(lineOf).join("")}`);
      });
    });
};

/** In a process of its own, and within a bounded time. */
const loadApp = async (world: World, file: string): Promise<AppPlan> => {
  const interrupted = new AbortController().signal;
  const window = openStartWindow({ file, timeoutMs: undefined, hasTimeout: false, interrupted });
  return (await window.load((signal) => world.probe(file, signal))).plan;
};

const lineOf = ({ change, part }: AppChange): string => `  ${WORD[change].padEnd(11)} ${part.kind} ${part.tag}\n`;

const WORD: { readonly [C in AppChange["change"]]: string } = {
  create: "created",
  update: "updated",
  delete: "deleted",
  retry: "tried again",
};

const addPlan = (program: Command, { world }: Common): void => {
  addInstanceOptions(program.command("plan <file>"))
    .description("what deploy would do with an app file now, step by step with reasons; nothing is changed")
    .addHelpText("after", "\nExample:\n  maitred plan ./app.ts && maitred deploy ./app.ts")
    .action(async (file: string, flags: InstanceFlags) => {
      const plan = await loadApp(world, file);
      await withClient(world, flags, async (client) => {
        const actions = await client.planOf(plan);
        if (flags.json) return world.terminal.out(`${JSON.stringify(actions)}\n`);
        if (actions.length === 0) return world.terminal.out(`nothing to do: ${plan.name} is as ${file} says\n`);
        const rows = actions.map(({ action, target, reason }) => [action, target, reason]);
        world.terminal.out(table([["action", "target", "reason"], ...rows], paintOf(world.terminal)));
      });
    });
};
