/** A long poll of one endpoint, as any router makes it: notes which replicas each news publishes. */
import { expect } from "vitest";
import type { EndpointClosure, PollAnswer, SnapshotId } from "../../src/model/longpoll.ts";
import type { Started } from "./lab.ts";
import { rest } from "./rest.ts";
import { pause } from "./wait-for.ts";

/** Short, so that its end is soon. */
const POLL_WAIT_MS = 300;
const RETRY_MS = 50;

export interface Follower {
  /** Ends it and expects that at no time fewer replicas were published than `least`. */
  expectAtLeast(least: number): Promise<void>;
}

export const follow = (instance: Started, endpoint: string): Follower => {
  /** `["echo#3", "echo#4"]` for each news so far. */
  const published: (readonly string[])[] = [];
  let applied: SnapshotId = { epoch: 0, counter: 0 };
  let isRegistered = false;
  let going = true;

  const pollOnce = async (): Promise<void> => {
    const answer = await rest(instance, "/v1/longpoll", {
      body: {
        client: `follower-${instance.name}`,
        kind: "program",
        name: "a follower",
        ...(isRegistered ? {} : { subscribe: [endpoint] }),
        applied,
        waitMs: POLL_WAIT_MS,
      },
    });
    if (answer.status !== 200) throw new Error(answer.text);
    const news = answer.json<PollAnswer>();
    isRegistered = news.kind !== "register";
    if (news.kind !== "news") return;
    applied = news.snapshot;
    for (const closure of news.endpoints) published.push(replicasOf(closure));
  };

  const run = async (): Promise<void> => {
    while (going) {
      // Between two controllers nobody answers.
      await pollOnce().catch(async () => {
        isRegistered = false;
        await pause(RETRY_MS);
      });
    }
  };

  const ended = run();
  return {
    expectAtLeast: async (least) => {
      going = false;
      await ended;
      expect(published.length).toBeGreaterThan(0);
      expect(published.filter((replicas) => replicas.length < least)).toEqual([]);
    },
  };
};

const replicasOf = ({ backends }: EndpointClosure): readonly string[] =>
  Object.values(backends)
    .flatMap(({ replicas }) => replicas.map(({ replica }) => replica))
    .toSorted();
