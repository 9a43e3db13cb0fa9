/** What a router tells the controller of its load, and how often. */
import { afterEach, expect, test } from "vitest";
import { backendOf, endpointOf, RouterLab } from "../../tests/harness/router-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import { POLL_TIMEOUT_MS } from "../model/limits.ts";
import type { PollAnswer, PollRequest } from "../model/longpoll.ts";

const DEADLINE_MS = 5_000;
const labs: RouterLab[] = [];
afterEach(async () => {
  for (const lab of labs.splice(0)) await lab.close();
});

test("queries that run and that wait are counted, and told often only while a backend is scaled by them", async () => {
  const polls: PollRequest[] = [];
  let answer: ((news: PollAnswer) => void) | undefined;
  const poll = (request: PollRequest) => {
    polls.push(request);
    return new Promise<PollAnswer>((resolve) => {
      answer = resolve;
    });
  };
  const lab = new RouterLab({ poll: { poll, onLeaderChange: () => {} } });
  labs.push(lab);
  const replica = await lab.replica();
  lab.router.start();
  let counter = 0;
  /** Answers the poll that follows. */
  const publish = async (scaled: { readonly loadIntervalMs?: number }) => {
    counter += 1;
    const endpoint = endpointOf({ b: backendOf([replica], { maxConcurrentQueries: 2, ...scaled }) });
    const before = polls.length;
    const snapshot = { epoch: 1, counter };
    answer?.({ kind: "news", snapshot, complete: true, endpoints: [endpoint], removed: [] });
    await waitFor("the next poll is sent", () => polls.length > before, DEADLINE_MS);
    return polls.at(-1);
  };

  expect(await publish({})).toMatchObject({ waitMs: POLL_TIMEOUT_MS, loads: { b: 0 } });
  for (let queries = 0; queries < 5; queries += 1) void lab.ask();
  await replica.received(2);
  expect(await publish({ loadIntervalMs: 1_000 })).toMatchObject({ waitMs: 1_000, loads: { b: 5 } });
  expect(await publish({})).toMatchObject({ waitMs: POLL_TIMEOUT_MS });
});
