/**
 * Cures name calls, as the client library has them. Whoever came by another way reads what is there for them: the command line names
 * commands, REST its paths. One function of a table, used where errors are printed. Only in errors whose whole sentence is ours; words of
 * user code, and tags in quotes, stay as they are.
 */

const CALLS = [
  "createBackend",
  "updateBackendConfig",
  "listBackends",
  "createEndpoint",
  "listEndpoints",
  "setTraffic",
  "shadowTraffic",
  "status().goals",
  "status()",
] as const;

/** What stands for each call. */
export type CallWords = Readonly<Record<(typeof CALLS)[number], string>>;

const OURS: ReadonlySet<string> = new Set([
  "backend-unknown",
  "backend-exists",
  "backend-in-use",
  "endpoint-unknown",
  "endpoint-exists",
  "goal-unknown",
  "target-unknown",
  "app-invalid",
]);

const PATTERN = new RegExp(
  `(?<!["\\w.])(?:${CALLS.map((call) => call.replace(/[().]/g, "\\$&")).join("|")})(?!["\\w])`,
  "g",
);

export const inWords = (
  words: CallWords,
  { code, message }: { readonly code: string; readonly message: string },
): string => (OURS.has(code) ? message.replace(PATTERN, (call) => words[call as keyof CallWords]) : message);
