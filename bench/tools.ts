/** What only peers need. Nothing here installs anything: a row without its peer stays undecided and says what is missing. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

export interface Tool {
  readonly name: string;
  /** The command that installs it. */
  readonly install: string;
  isInstalled(): boolean;
}

/** Where the program lies; undefined: it is not installed. */
export const programPath = (program: string): string | undefined => {
  const { PATH = "" } = process.env;
  // nginx lies where only root's PATH leads.
  const folders = [...PATH.split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return folders.map((folder) => join(folder, program)).find(isExecutable);
};

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // not there
  }
};

const isResolvable = (name: string): boolean => {
  try {
    import.meta.resolve(name);
    return true;
  } catch {
    return false; // not installed
  }
};

export const NGINX: Tool = {
  name: "nginx",
  install: "apt-get install nginx-light",
  isInstalled: () => programPath("nginx") !== undefined,
};

export const PISCINA: Tool = { name: "piscina", install: "npm ci", isInstalled: () => isResolvable("piscina") };
