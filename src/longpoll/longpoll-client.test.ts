import { afterEach, describe, expect, test } from "vitest";
import { ManualClock } from "../../tests/harness/manual-clock.ts";
import { memoryLog } from "../../tests/harness/replica-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import { ServeError } from "../base/serve-error.ts";
import type { EndpointTag } from "../model/ids.ts";
import { POLL_RETRY_MS } from "../model/limits.ts";
import { NO_SNAPSHOT, type PollAnswer, type PollRequest } from "../model/longpoll.ts";
import type { PollTransport } from "../ports/poll-transport.ts";
import { LongPollClient, type News } from "./longpoll-client.ts";

const DEADLINE_MS = 2_000;

/** Each poll waits until the test answers it. */
class ScriptedTransport implements PollTransport {
  readonly requests: PollRequest[] = [];
  aborted = 0;
  #open: { resolve: (answer: PollAnswer) => void; reject: (error: unknown) => void } | undefined;
  #leaderChanged: (() => void) | undefined;

  poll(request: PollRequest, signal: AbortSignal): Promise<PollAnswer> {
    this.requests.push(request);
    return new Promise((resolve, reject) => {
      this.#open = { resolve, reject };
      signal.addEventListener("abort", () => {
        this.aborted += 1;
        reject(signal.reason);
      });
    });
  }

  onLeaderChange(callback: () => void): void {
    this.#leaderChanged = callback;
  }

  changeLeader(): void {
    this.#leaderChanged?.();
  }

  async polled(count: number): Promise<PollRequest> {
    await waitFor(`${count} polls were made`, () => this.requests.length >= count, DEADLINE_MS);
    expect(this.requests).toHaveLength(count);
    return this.requests[count - 1]!;
  }

  answer(answer: PollAnswer): void {
    this.#open!.resolve(answer);
  }

  fail(): void {
    this.#open!.reject(new ServeError("controller-unavailable", "gone", { retryable: true }));
  }
}

const news = (epoch: number, counter: number): News => ({
  ...{ kind: "news", snapshot: { epoch, counter }, complete: true, endpoints: [], removed: [] },
});

const clients: LongPollClient[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.stop();
});

function following(...tags: readonly string[]) {
  const transport = new ScriptedTransport();
  const clock = new ManualClock();
  const log = memoryLog();
  const applied: News[] = [];
  const options = { apply: (answer: News) => void applied.push(answer) };
  const client = new LongPollClient(
    { transport, clock, log },
    {
      ...{ client: "c-1", kind: "proxy", name: "proxy#1" },
      apply: (answer) => options.apply(answer),
      loads: () => ({ b: 3 }),
    },
  );
  clients.push(client);
  for (const tag of tags) client.follow(tag === "all" ? "all" : (tag as EndpointTag));
  client.start();
  return { transport, clock, log, applied, client, options };
}

describe("the long-poll client", () => {
  test("says what it follows once, and then acknowledges what it has applied, with its loads", async () => {
    const { transport, applied } = following("all");
    expect(await transport.polled(1)).toMatchObject({
      ...{ client: "c-1", kind: "proxy", name: "proxy#1", subscribe: "all", applied: NO_SNAPSHOT, loads: { b: 3 } },
    });
    transport.answer(news(4, 1));
    const second = await transport.polled(2);
    expect(second).not.toHaveProperty("subscribe");
    expect(second.applied).toEqual({ epoch: 4, counter: 1 });
    transport.answer({ kind: "idle", epoch: 4 });
    expect(await transport.polled(3)).toEqual(second);
    transport.answer(news(4, 9));
    expect((await transport.polled(4)).applied).toEqual({ epoch: 4, counter: 9 });
    expect(applied.map(({ snapshot }) => snapshot.counter)).toEqual([1, 9]);
  });

  test("makes no poll while it follows nothing", async () => {
    const { transport, client, clock } = following();
    clock.advance(10 * POLL_RETRY_MS);
    expect(transport.requests).toEqual([]);
    client.follow("iris" as EndpointTag);
    expect((await transport.polled(1)).subscribe).toEqual(["iris"]);
  });

  test("registers again when the controller does not know it", async () => {
    const { transport } = following("all");
    await transport.polled(1);
    transport.answer(news(4, 1));
    await transport.polled(2);
    transport.answer({ kind: "register", epoch: 5 });
    const third = await transport.polled(3);
    expect([third.subscribe, third.applied]).toEqual(["all", { epoch: 4, counter: 1 }]);
  });

  test("a controller that asks for what it was just told is asked no faster than after a failure", async () => {
    const { transport, clock } = following("all");
    await transport.polled(1);
    transport.answer({ kind: "register", epoch: 5 });
    await waitFor("it pauses", () => clock.timers === 1, DEADLINE_MS);
    expect(transport.requests).toHaveLength(1);
    clock.advance(POLL_RETRY_MS);
    await transport.polled(2);
  });

  test("following more ends the poll under way and registers anew; what is followed already does not", async () => {
    const { transport, client } = following("a");
    await transport.polled(1);
    transport.answer(news(4, 1));
    await transport.polled(2);
    client.follow("a" as EndpointTag);
    client.follow("b" as EndpointTag);
    const third = await transport.polled(3);
    expect([transport.aborted, third.subscribe, third.applied.counter]).toEqual([1, ["a", "b"], 1]);
    // The new endpoint comes whole although nothing has changed since.
    transport.answer(news(4, 1));
    expect(await transport.polled(4)).not.toHaveProperty("subscribe");
  });

  test("waits between failed polls, registers again, and says a lasting failure once", async () => {
    const { transport, clock, log } = following("all");
    for (let count = 1; count <= 5; count += 1) {
      expect((await transport.polled(count)).subscribe).toBe("all");
      transport.fail();
      await waitFor("it pauses", () => clock.timers === 1, DEADLINE_MS);
      clock.advance(POLL_RETRY_MS - 1);
      expect(transport.requests).toHaveLength(count);
      clock.advance(1);
    }
    expect(log.lines.map(({ event }) => event)).toEqual(["longpoll-failed"]);
  });

  test("another leader is asked at once, in a pause and in a poll", async () => {
    const { transport, clock } = following("all");
    await transport.polled(1);
    transport.fail();
    await waitFor("it pauses", () => clock.timers === 1, DEADLINE_MS);
    transport.changeLeader();
    await transport.polled(2);
    transport.answer(news(4, 1));
    await transport.polled(3);
    transport.changeLeader();
    expect((await transport.polled(4)).subscribe).toBe("all");
    expect(clock.timers).toBe(0);
  });

  test("a callback that throws does not end it: the same news is asked for again (defect 18 of the ancestor)", async () => {
    const { transport, clock, log, applied, options, client } = following("all");
    const apply = options.apply;
    options.apply = () => {
      throw new Error("no");
    };
    await transport.polled(1);
    transport.answer(news(4, 1));
    await waitFor("it pauses", () => clock.timers === 1, DEADLINE_MS);
    expect(client.applied).toEqual(NO_SNAPSHOT);
    options.apply = apply;
    clock.advance(POLL_RETRY_MS);
    expect((await transport.polled(2)).applied).toEqual(NO_SNAPSHOT);
    transport.answer(news(4, 1));
    expect((await transport.polled(3)).applied).toEqual({ epoch: 4, counter: 1 });
    expect(applied).toHaveLength(1);
    expect(log.lines).toMatchObject([{ event: "longpoll-apply-failed", fields: { error: "no" } }]);
  });

  test("an answer about several endpoints is applied once and whole, before the next poll is made (defect 10 of the ancestor)", async () => {
    const { transport, applied, options } = following("a", "b");
    const polls: number[] = [];
    const apply = options.apply;
    options.apply = (answer) => {
      polls.push(transport.requests.length);
      apply(answer);
    };
    await transport.polled(1);
    const endpoints = ["a", "b"].map((tag) => ({ tag, traffic: { [tag]: 1 } })) as never;
    transport.answer({ ...news(4, 1), endpoints });
    await transport.polled(2);
    transport.answer(news(4, 2));
    await transport.polled(3);
    expect(applied.map((it) => it.endpoints.map(({ tag, traffic }) => ({ tag, traffic })))).toEqual([endpoints, []]);
    expect(polls).toEqual([1, 2]);
  });

  test("what an older controller life says is not applied, and what a newer one says is, whatever its counter", async () => {
    const { transport, clock, applied } = following("all");
    await transport.polled(1);
    transport.answer(news(7, 50));
    await transport.polled(2);
    transport.answer(news(6, 99));
    await waitFor("it pauses", () => clock.timers === 1, DEADLINE_MS);
    clock.advance(POLL_RETRY_MS);
    expect((await transport.polled(3)).applied).toEqual({ epoch: 7, counter: 50 });
    transport.answer(news(8, 1));
    expect((await transport.polled(4)).applied).toEqual({ epoch: 8, counter: 1 });
    expect(applied.map(({ snapshot }) => snapshot.epoch)).toEqual([7, 8]);
  });

  test("news that is none does not make it ask in a loop", async () => {
    const { transport, clock, applied } = following("all");
    await transport.polled(1);
    transport.answer(news(4, 1));
    await transport.polled(2);
    transport.answer(news(4, 1));
    await waitFor("it pauses", () => clock.timers === 1, DEADLINE_MS);
    expect([transport.requests.length, applied.length]).toEqual([2, 1]);
  });

  test("after stop the poll is ended and no callback comes", async () => {
    const { transport, client, applied, clock } = following("all");
    await transport.polled(1);
    client.stop();
    transport.answer(news(4, 1));
    await waitFor("the poll was ended", () => transport.aborted === 1, DEADLINE_MS);
    await new Promise((resolve) => setImmediate(resolve));
    expect([applied.length, transport.requests.length, clock.timers]).toEqual([0, 1, 0]);
  });
});
