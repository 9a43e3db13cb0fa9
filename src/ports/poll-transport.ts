/** Carries one long poll to the leading controller. Rejects with code `controller-unavailable` when there is none or it went away. */
import type { PollAnswer, PollRequest } from "../model/longpoll.ts";

export interface PollTransport {
  poll(request: PollRequest, signal: AbortSignal): Promise<PollAnswer>;
  /** Resolves when another leader than at the last poll is known, so that a failed poll need not wait its full pause. */
  onLeaderChange(callback: () => void): void;
}
