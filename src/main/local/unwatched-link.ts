/** ports/agent-link.ts for actors that run in the process of whoever started them: no agent watches, reports go to a callback. */
import type { ActorReport } from "../../model/link-messages.ts";
import type { AgentLink } from "../../ports/agent-link.ts";

export const unwatchedLink = (onReport: (report: ActorReport) => void): AgentLink => ({
  start: (events) => queueMicrotask(() => events.onUp?.()),
  leader: () => undefined,
  report: onReport,
  leading: () => {},
  committed: () => {},
  stop: () => {},
});
