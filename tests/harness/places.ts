/**
 * Where the instances of a lab lie: run folders in the folder that MAITRED_RUN_ROOT names, each with its `instance` file. Their names
 * are worked out from the documented rule and not by the code under test: 12 hex digits of SHA-256 of the state folder's real path.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";

export const RUN_ROOT_VARIABLE = "MAITRED_RUN_ROOT";

const runRoot = (): string => process.env[RUN_ROOT_VARIABLE] ?? "(no lab is open)";

export const runFolderOf = (stateDir: string): string =>
  join(runRoot(), createHash("sha256").update(realpathSync(stateDir)).digest("hex").slice(0, 12));

export interface FoundInstance {
  readonly id: string;
  readonly name: string;
  readonly stateDir: string;
  readonly runDir: string;
}

/** Instances of the lab by their `instance` files, dead ones included. */
export const findInstances = (): readonly FoundInstance[] => {
  if (!existsSync(runRoot())) return [];
  return readdirSync(runRoot()).flatMap((id) => {
    const runDir = join(runRoot(), id);
    try {
      const file = JSON.parse(readFileSync(join(runDir, "instance"), "utf8")) as {
        id: string;
        name: string;
        stateDir: string;
      };
      return [{ id: file.id, name: file.name, stateDir: file.stateDir, runDir }];
    } catch {
      return []; // being created or removed
    }
  });
};
