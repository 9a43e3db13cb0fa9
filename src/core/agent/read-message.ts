/**
 * What somebody says on the agent's socket, as far as the agent relies on it: whoever can open the socket can write anything, and none of
 * it may bring the agent down. Only JSON values come here. Fields that are only passed on are not looked into.
 */
import { LINK_PROTOCOL, type ToAgent } from "../../model/link-messages.ts";

type Fields = Readonly<Record<string, unknown>>;
type Reading = { readonly kind: "message"; readonly message: ToAgent } | Breach;
/** Completes "the peer sent …". */
type Breach = { readonly kind: "breach"; readonly what: string };
type Check = (message: Fields) => boolean;

const ROLES: readonly unknown[] = ["replica", "proxy", "controller", "client"];
const STATES: readonly unknown[] = ["starting", "ready", "draining"];
const HEALTH: readonly unknown[] = ["healthy", "unhealthy"];
/** Of a name in a sentence: who sends a longer one does not send one of ours. */
const MOST_NAME_CHARS = 40;

export function readMessage(value: unknown): Reading {
  if (!isFields(value) || typeof value["kind"] !== "string") return breach("a line that is no message");
  const kind = value["kind"];
  if (!isKind(kind)) return breach(`a message of the unknown kind ${JSON.stringify(kind.slice(0, MOST_NAME_CHARS))}`);
  if (!CHECKS[kind](value)) return breach(`a message of kind "${kind}" whose fields are missing or of another type`);
  return { kind: "message", message: value as ToAgent };
}

const breach = (what: string): Breach => ({ kind: "breach", what });

const CHECKS: Readonly<Record<ToAgent["kind"], Check>> = {
  // In another version of the protocol the rest may be otherwise: that version is all there is to say about it.
  hello: (hello) =>
    typeof hello["protocol"] === "number" &&
    (hello["protocol"] !== LINK_PROTOCOL ||
      (typeof hello["instanceId"] === "string" &&
        ROLES.includes(hello["role"]) &&
        isTextOrAbsent(hello["actor"]) &&
        isCount(hello["incarnation"]) &&
        isCount(hello["pid"]))),
  report: ({ report }) =>
    isFields(report) &&
    STATES.includes(report["state"]) &&
    isTextOrAbsent(report["address"]) &&
    isCount(report["configRevision"]) &&
    (report["error"] === undefined || isErrorBody(report["error"])) &&
    (report["offers"] === undefined || isOffers(report["offers"])) &&
    isTextOrAbsent(report["loadedDigest"]) &&
    HEALTH.includes(report["health"]) &&
    isTextOrAbsent(report["healthReason"]),
  leading: ({ leader }) => isFields(leader) && typeof leader["address"] === "string" && isCount(leader["epoch"]),
  committed: () => true,
  pong: ({ id }) => isCount(id),
  metrics: ({ snapshot }) =>
    isFields(snapshot) &&
    typeof snapshot["life"] === "string" &&
    isCount(snapshot["startedAt"]) &&
    isFields(snapshot["usage"]) &&
    isFields(snapshot["samples"]) &&
    Object.values(snapshot["samples"]).every((samples) => Array.isArray(samples) && samples.every(isSample)),
  probe: ({ id, order }) =>
    isCount(id) &&
    isFields(order) &&
    typeof order["module"] === "string" &&
    Array.isArray(order["targets"]) &&
    isFields(order["runtime"]) &&
    isCount(order["timeoutMs"]),
};

const isKind = (kind: string): kind is ToAgent["kind"] => Object.hasOwn(CHECKS, kind);

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isTextOrAbsent = (value: unknown): boolean => value === undefined || typeof value === "string";

const isCount = (value: unknown): boolean => typeof value === "number" && value >= 0;

const isErrorBody = (value: unknown): boolean =>
  isFields(value) && typeof value["code"] === "string" && typeof value["message"] === "string";

const isOffers = (value: unknown): boolean => isFields(value) && Array.isArray(value["methods"]);

const isSample = (value: unknown): boolean =>
  Array.isArray(value) &&
  Array.isArray(value[0]) &&
  value[0].every((label) => typeof label === "string") &&
  (typeof value[1] === "number" || (Array.isArray(value[1]) && value[1].every((part) => typeof part === "number")));
