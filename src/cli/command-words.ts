/**
 * Cures name calls, as the client library has them. Whoever types commands reads the commands for them instead: one table, used where
 * errors are printed. Only in errors whose whole sentence is ours; words of user code, and tags in quotes, stay as they are.
 */

const COMMANDS: Readonly<Record<string, string>> = {
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

const OURS: ReadonlySet<string> = new Set([
  "backend-unknown",
  "backend-exists",
  "backend-in-use",
  "endpoint-unknown",
  "endpoint-exists",
  "goal-unknown",
  "target-unknown",
]);

const CALLS = new RegExp(
  `(?<!["\\w.])(?:${Object.keys(COMMANDS)
    .map((call) => call.replace(/[().]/g, "\\$&"))
    .join("|")})(?!["\\w])`,
  "g",
);

export const inCommandWords = ({ code, message }: { readonly code: string; readonly message: string }): string =>
  OURS.has(code) ? message.replace(CALLS, (call) => COMMANDS[call] ?? call) : message;
