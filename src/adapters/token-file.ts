/** The token of an instance's TCP listeners: drawn once, 0600 in the state folder, kept over restarts. */
import { randomBytes } from "node:crypto";
import { readWhole, writeWhole } from "./whole-files.ts";

const TOKEN_BYTES = 32;
/** Ours, or one that somebody has put there: too long to be guessed. */
const TOKEN = /^\S{20,}$/;

/** Throws `state-unwritable`. A file that holds no token is replaced. */
export const ensureToken = (path: string): string => {
  const kept = readWhole(path, (text) => text.trim());
  if (kept !== undefined && TOKEN.test(kept)) return kept;
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  writeWhole(path, `${token}\n`, "durably");
  return token;
};
