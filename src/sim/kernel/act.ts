/** One effect of a process on the world: nothing of a dead process takes place, and a plan of crashes may strike on either side. */
import type { Effects } from "./effects.ts";
import type { SimProcess } from "./sim-process.ts";

/** undefined: it did not take place. */
export const act = <T>(
  { effects, process }: { readonly effects: Effects; readonly process: SimProcess },
  what: string,
  run: () => T,
): T | undefined => {
  if (!process.isAlive) return undefined;
  effects.before(process, what);
  if (!process.isAlive) return undefined;
  const done = run();
  effects.after(process, what);
  return done;
};
