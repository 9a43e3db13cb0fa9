/** ports/random.ts: ids from the system's generator; numbers, which choose replicas and spread retries, from the fast one. */
import { randomBytes } from "node:crypto";
import type { Random } from "../ports/random.ts";

const ID_BYTES = 12;

export const createSystemRandom = (): Random => ({
  number: () => Math.random(),
  id: () => randomBytes(ID_BYTES).toString("hex"),
});
