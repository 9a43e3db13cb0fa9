/** ports/kept-code.ts on the state folder. What a killed probe has left half written counts as a name of its own. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { stateFiles } from "../../model/places.ts";
import type { KeptCodeFiles } from "../../ports/kept-code.ts";
import { isAbsence, removeFile } from "../whole-files.ts";

const ENDING = ".json";

export const keptCodeFiles = (stateDir: string): KeptCodeFiles => {
  const folder = stateFiles(stateDir).code;
  return {
    names: () => filesIn(folder).map((file) => (file.endsWith(ENDING) ? file.slice(0, -ENDING.length) : file)),
    remove: (name) => {
      removeFile(join(folder, `${name}${ENDING}`));
      removeFile(join(folder, name));
    },
  };
};

const filesIn = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isAbsence(error)) return [];
    throw error;
  }
};
