/** REST of an instance over its unix socket, as `curl --unix-socket` would speak it. */
import { join } from "node:path";
import { type Answer, type Ask, ask } from "./http.ts";
import type { Started } from "./lab.ts";

export const restSocketOf = (instance: Pick<Started, "runDir">): string => join(instance.runDir, "controller.sock");

export const rest = (instance: Pick<Started, "runDir">, path: string, options: Ask = {}): Promise<Answer> =>
  ask(`http://localhost${path}`, { ...options, socketPath: restSocketOf(instance) });
