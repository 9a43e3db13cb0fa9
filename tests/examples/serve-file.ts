/** Running the examples: `maitred run <file>` as a user types it, in a lab: resolves when it says where it answers. */
import type { Status } from "../../src/model/status.ts";
import { maitred, type RunningCommand, spawnMaitred } from "../harness/command.ts";
import { type Lab, START_DEADLINE_MS } from "../harness/lab.ts";
import { waitFor } from "../harness/wait-for.ts";

export interface ServedFile {
  readonly command: RunningCommand;
  readonly instance: string;
  readonly url: string;
  status(): Promise<Status>;
}

/** Once its program has ended: no process, folder or file of the lab's instances is there any more. */
export const nothingIsLeft = (lab: Lab): Promise<unknown> =>
  waitFor(
    "nothing is left",
    () => {
      const left = lab.leftovers();
      if (left.length === 0) return true;
      throw new Error(left.join("; "));
    },
    5_000,
  );

/** @param file seen from the root of the repository. */
export const serveFile = async (lab: Lab, file: string): Promise<ServedFile> => {
  const instance = lab.name("example");
  const command = spawnMaitred(["run", file, "--port", "0", "--instance", instance]);
  const url = await waitFor(
    `\`maitred run ${file}\` says where it answers`,
    () => {
      const said = /http:\/\/127\.0\.0\.1:\d+/.exec(command.stdout())?.[0];
      if (said !== undefined && command.stdout().includes("Ctrl-C")) return said;
      throw new Error(`it printed: ${command.stdout()}${command.stderr()}`);
    },
    START_DEADLINE_MS,
  );
  return {
    command,
    instance,
    url,
    status: async () => (await maitred(["status", "--json", "--instance", instance])).json<Status>(),
  };
};
