/** The token of an instance's TCP listeners: drawn once, 0600 in the state folder, kept over restarts. */
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const TOKEN_BYTES = 32;

export const ensureToken = (path: string): string => {
  try {
    writeFileSync(path, `${randomBytes(TOKEN_BYTES).toString("base64url")}\n`, { mode: 0o600, flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return readFileSync(path, "utf8").trim();
};
