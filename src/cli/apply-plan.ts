/** What an app file asks for, made so in an instance, and the wait until it is. */
import type { AppPlan, ServeClient, Wait } from "../client/client.ts";
import type { Goal } from "../model/calls.ts";
import { MAX_PROGRESS_NAMES } from "../model/limits.ts";
import type { World } from "./world.ts";

export interface Application {
  readonly client: ServeClient;
  readonly plan: AppPlan;
  /** Who is not there yet, now and then. */
  readonly onWaiting?: (laggards: readonly string[]) => void;
}

/** Resolves when all that the plan changes is in force, or saved, as the wait says. Throws its failure, or the signal's reason. */
export const applyPlan = async (
  world: World,
  { client, plan, onWaiting = () => {} }: Application,
  wait: Wait,
): Promise<Goal> => {
  const progress = progressLine(world);
  const onProgress = (goal: Goal): void => {
    onWaiting(goal.laggards ?? []);
    if (world.terminal.interactive) progress.show(goal);
  };
  try {
    return await client.deployPlan(plan, { ...wait, onProgress });
  } finally {
    progress.clear();
  }
};

const listOf = (names: readonly string[]): string => {
  const more = names.length - MAX_PROGRESS_NAMES;
  return names.slice(0, MAX_PROGRESS_NAMES).join(", ") + (more > 0 ? ` and ${more} more` : "");
};

const progressLine = (world: World) => {
  let shown = false;
  return {
    show: (goal: Goal) => {
      if (goal.progress === undefined) return;
      shown = true;
      const { done, total } = goal.progress;
      world.terminal.err(`\r\u001b[K${done} of ${total} replicas ready, waiting for ${listOf(goal.laggards ?? [])}`);
    },
    clear: () => {
      if (shown) world.terminal.err("\r\u001b[K");
    },
  };
};
