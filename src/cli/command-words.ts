/** The words of commands for the calls that cures name. */
import { type CallWords, inWords } from "../core/call-words.ts";

const COMMANDS: CallWords = {
  createBackend: "`maitred backend create`",
  updateBackendConfig: "`maitred backend update`",
  listBackends: "`maitred backend list`",
  createEndpoint: "`maitred endpoint create`",
  listEndpoints: "`maitred endpoint list`",
  setTraffic: "`maitred traffic set`",
  shadowTraffic: "`maitred shadow set`",
  "status().goals": "`maitred goal list`",
  "status()": "`maitred status`",
};

export const inCommandWords = (error: { readonly code: string; readonly message: string }): string =>
  inWords(COMMANDS, error);
