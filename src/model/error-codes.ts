/**
 * Every error code of the product in one table: the HTTP status it has at a REST or data door, whether the same call may be
 * sent again, and what it means. `docs/errors.md` is made from it. Codes are stable; messages are not.
 */

export interface ErrorCodeInfo {
  readonly status: number;
  readonly retryable: boolean;
  readonly meaning: string;
}

const entry = (status: number, meaning: string, retryable = false): ErrorCodeInfo => ({ status, retryable, meaning });

export const ERROR_CODES = {
  // ── calls
  "config-invalid": entry(
    400,
    "A configuration value is unknown, of the wrong type, out of its range, or names what is not there.",
  ),
  "tag-invalid": entry(400, "A tag, node or instance name breaks the naming rule."),
  "weights-invalid": entry(400, "Traffic weights are negative or do not sum to 1."),
  "route-invalid": entry(400, "A route does not start with / or is malformed."),
  "route-taken": entry(409, "Another endpoint already answers this route."),
  "backend-unknown": entry(404, "No backend has this tag."),
  "backend-exists": entry(409, "A backend of this tag exists with another value."),
  "backend-in-use": entry(409, "An endpoint still names this backend."),
  "backend-deleting": entry(409, "The backend is being deleted."),
  "tag-owned": entry(409, "A tag of the app exists outside the app; the message names its owner."),
  "endpoint-unknown": entry(404, "No endpoint has this tag."),
  "endpoint-exists": entry(409, "An endpoint of this tag exists with another value."),
  "target-unknown": entry(404, "No backend, endpoint, app, process or goal has this name."),
  "goal-unknown": entry(404, "No goal of this id is kept."),
  "goal-id-reused": entry(409, "This goal id belongs to another call."),
  "goal-failed": entry(409, "The goal failed; details say why."),
  "goal-superseded": entry(409, "A newer change of the same thing replaced this goal."),
  "goal-pending": entry(504, "The wait ended before the goal did; the goal goes on.", true),
  "value-too-large": entry(413, "A value or transaction is larger than the store takes."),
  // ── code
  "module-not-found": entry(400, "The module file does not exist."),
  "module-syntax": entry(400, "The module does not compile."),
  "module-unsupported-syntax": entry(400, "The module uses TypeScript that plain Node does not run."),
  "module-load-failed": entry(400, "The module throws while it is imported."),
  "export-not-found": entry(400, "The module has no such export."),
  "target-invalid": entry(400, "The export is neither a function, a class, nor an object with a door or methods."),
  "probe-pending": entry(503, "The code is still being loaded to look at it; nothing is saved yet.", true),
  "probe-unavailable": entry(503, "No agent could look at the code.", true),
  "code-too-large": entry(413, "The code that the module loads is larger than what is kept of a backend."),
  "code-missing": entry(500, "The kept code of a backend is not in the state folder any more."),
  "start-failed": entry(500, "A replica did not start: its constructor, start() or reconfigure() threw."),
  "start-timeout": entry(500, "A replica did not start within startTimeoutMs."),
  "reconfigure-failed": entry(500, "reconfigure() threw; the replica serves on with its last applied userConfig."),
  // ── data path
  "route-not-found": entry(404, "No endpoint answers this path."),
  "method-not-allowed": entry(405, "The endpoint does not answer this HTTP method."),
  "method-unknown": entry(404, "The backend has no such method, or the endpoint does not expose it."),
  "body-invalid": entry(400, "The request body is not what it claims to be."),
  "body-schema": entry(422, "The request body does not fit the schema; details list the issues."),
  "body-too-large": entry(413, "The request body is larger than allowed."),
  "headers-too-large": entry(431, "The request head is larger than allowed."),
  "request-malformed": entry(400, "The request is not well-formed HTTP."),
  "request-timeout": entry(408, "The request did not arrive in time."),
  "upgrade-unsupported": entry(501, "WebSocket and other upgrades are not served."),
  "queue-full": entry(503, "Too many queries wait for this backend.", true),
  "no-replica": entry(504, "No replica became free before the deadline.", true),
  "deadline-exceeded": entry(504, "The query's deadline passed."),
  "replica-lost": entry(502, "The replica died while it ran this query.", true),
  "query-cancelled": entry(499, "The caller cancelled the query."),
  "not-ready": entry(503, "The proxy has not learnt its routes yet, or there are none.", true),
  "handler-failed": entry(500, "The handler threw."),
  "http-error": entry(500, "The handler threw an HttpError; its status counts."),
  "result-invalid": entry(500, "The handler's result cannot be sent."),
  "batch-wrong-length": entry(500, "A batch function returned another number of results than it got items."),
  "wire-protocol": entry(502, "A peer sent a frame, or a line to the agent, that the protocol does not allow."),
  "peer-refused": entry(
    502,
    "A peer's HELLO names another instance, process or incarnation than the one that answers, or another version of the protocol.",
  ),
  "value-unsupported": entry(400, "An argument or result cannot cross a process border."),
  // ── user-facing words used in the wrong place
  "no-context": entry(500, "context() was called outside a handler."),
  "no-instance": entry(500, "A handle was used in a process that is not connected to an instance."),
  "not-a-stream": entry(400, "A call's result was iterated, and it is a single value."),
  "method-not-reachable": entry(400, "Life-cycle and underscore names are not reachable through a handle."),
  "app-invalid": entry(
    400,
    "The app file's default export is not something that can be served, or the app has several problems; details list them.",
  ),
  // ── instance and processes
  "instance-unknown": entry(404, "No instance of this name is running."),
  "instance-ambiguous": entry(400, "Several instances run; name one."),
  "process-unknown": entry(404, "No process or backend of this name has written a log."),
  "instance-exists": entry(409, "An instance of this name is already running."),
  "instance-stopping": entry(409, "The instance is stopping or being erased."),
  "port-in-use": entry(409, "The port is already in use."),
  "state-unwritable": entry(500, "The state folder cannot be written."),
  "schema-newer": entry(500, "The state was written by a newer maitred."),
  "process-exited": entry(500, "A process of the instance ended by itself; it is started again."),
  "replica-unhealthy": entry(
    500,
    "Replicas of a new roll-out stay unhealthy or do not answer, however often they are replaced: the roll-out has stopped.",
  ),
  "drain-timeout": entry(504, "A draining process did not end in time and was killed."),
  "platform-unsupported": entry(400, "This platform cannot do that."),
  "not-leading": entry(503, "This controller no longer leads.", true),
  "store-unavailable": entry(503, "The store does not answer.", true),
  "lease-lost": entry(409, "The lease that a key was to live by has expired or was revoked."),
  "unauthorized": entry(401, "The token is missing or wrong."),
  "origin-refused": entry(403, "The Origin or Host of this request is not allowed."),
  "controller-unavailable": entry(503, "No controller answers.", true),
  "interrupted": entry(499, "A signal came before the command was done; what it had started has been ended."),
  "run-timeout": entry(
    504,
    "An app that `maitred run` starts did not serve within --timeout; what had been started has been ended.",
  ),
  "output-unwritable": entry(500, "What a command prints cannot be written where it was to go."),
  "usage": entry(400, "The command line is wrong."),
  "not-implemented": entry(501, "This version does not do that yet."),
  "internal": entry(500, "A bug in maitred."),
} as const satisfies Record<string, ErrorCodeInfo>;

export type ErrorCode = keyof typeof ERROR_CODES;

export const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERROR_CODES, code);

/** What crosses a process border of an error: never a stack. */
export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
}
