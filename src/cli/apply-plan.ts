/** What an app file asks for, made so in the instance of `run`, and the wait until it is. */
import type { AppPlan, ServeClient } from "../client/client.ts";
import type { Goal } from "../model/calls.ts";
import type { World } from "./world.ts";

export interface Application {
  readonly client: ServeClient;
  readonly plan: AppPlan;
  /** Who is not there yet, now and then. */
  readonly onWaiting: (laggards: readonly string[]) => void;
}

/** Resolves when all that the plan names is in force. Throws its failure, or the signal's reason. */
export const applyPlan = async (
  world: World,
  { client, plan, onWaiting }: Application,
  signal: AbortSignal,
): Promise<void> => {
  const progress = progressLine(world);
  const onProgress = (goal: Goal): void => {
    onWaiting(goal.laggards ?? []);
    if (world.terminal.interactive) progress.show(goal);
  };
  try {
    await client.deployPlan(plan, { signal, onProgress });
  } finally {
    progress.clear();
  }
};

const progressLine = (world: World) => {
  let shown = false;
  return {
    show: (goal: Goal) => {
      if (goal.progress === undefined) return;
      shown = true;
      world.terminal.err(
        `\r\u001b[Kstarting: ${goal.progress.done} of ${goal.progress.total} ready, waiting for ${goal.laggards?.join(", ") ?? ""}`,
      );
    },
    clear: () => {
      if (shown) world.terminal.err("\r\u001b[K");
    },
  };
};
