/** The file of an app that changes as a test goes on: two versions of one model behind one endpoint. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fixture } from "./echo.ts";
import type { Lab } from "./lab.ts";

const MAITRED = new URL("../../src/index.ts", import.meta.url).href;
const MODEL = fixture("apps/model.ts").href;

export interface FlowersFile {
  readonly version: string;
  readonly numReplicas?: number;
  /** Of which `v1` gets the rest. */
  readonly v2?: number;
  readonly failsAt?: string;
}

/** Writes it anew, and answers its path. */
export const writeFlowers = (lab: Lab, { version, numReplicas = 2, v2 = 0, failsAt }: FlowersFile): string => {
  const path = join(lab.folder("apps"), "flowers.ts");
  const args = JSON.stringify([version, failsAt === undefined ? {} : { failsAt }]);
  writeFileSync(
    path,
    `import { backend, defineApp } from ${JSON.stringify(MAITRED)};
const module = ${JSON.stringify(MODEL)};
export default defineApp({
  backends: {
    v1: { run: backend({ module, export: "Model", args: ${args} }), config: { numReplicas: ${numReplicas} } },
    v2: { run: backend({ module, export: "Model", args: ["two"] }) },
  },
  endpoints: { flowers: { route: "/flowers", traffic: { v1: ${1 - v2}, v2: ${v2} } } },
});\n`,
  );
  return path;
};
