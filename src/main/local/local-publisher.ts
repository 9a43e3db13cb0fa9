/**
 * ports/poll-transport.ts in the place of a controller: tells every router of this process the same endpoints, once they are there.
 */
import type { SnapshotId } from "../../model/longpoll.ts";
import { compareSnapshotIds, type EndpointClosure, type PollAnswer, type PollRequest } from "../../model/longpoll.ts";
import type { PollTransport } from "../../ports/poll-transport.ts";

const SNAPSHOT: SnapshotId = { epoch: 1, counter: 1 };

export class LocalPublisher implements PollTransport {
  #endpoints: readonly EndpointClosure[] | undefined;
  readonly #waiting = new Set<() => void>();

  publish(endpoints: readonly EndpointClosure[]): void {
    this.#endpoints = endpoints;
    for (const wake of this.#waiting) wake();
  }

  async poll({ applied }: PollRequest, signal: AbortSignal): Promise<PollAnswer> {
    for (;;) {
      const endpoints = this.#endpoints;
      if (endpoints !== undefined && compareSnapshotIds(applied, SNAPSHOT) < 0) {
        return { kind: "news", snapshot: SNAPSHOT, complete: true, endpoints, removed: [] };
      }
      await this.#change(signal);
      if (signal.aborted) return { kind: "idle", epoch: SNAPSHOT.epoch };
    }
  }

  onLeaderChange(): void {}

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener("abort", wake);
    });
  }
}
