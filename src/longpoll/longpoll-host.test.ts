import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { ManualClock } from "../../tests/harness/manual-clock.ts";
import type { EndpointTag } from "../model/ids.ts";
import { MAX_POLL_CHANGES } from "../model/limits.ts";
import { type EndpointClosure, NO_SNAPSHOT, type PollAnswer, type PollRequest } from "../model/longpoll.ts";
import { LongPollHost } from "./longpoll-host.ts";

const EPOCH = 7;
const closure = (tag: string, weight = 1): EndpointClosure =>
  ({ tag, spec: {}, traffic: { b: weight }, shadows: {}, backends: {} }) as unknown as EndpointClosure;
const set = (tag: string, weight = 1) => ({ tag: tag as EndpointTag, closure: closure(tag, weight) });
const gone = (tag: string) => ({ tag: tag as EndpointTag, closure: undefined });

let clock: ManualClock;
let host: LongPollHost;
let applied: { after: number; upTo: number }[];
/** Backends whose load has changed, in order. */
let loads: string[];

beforeEach(() => {
  clock = new ManualClock();
  applied = [];
  loads = [];
  host = new LongPollHost({
    clock,
    epoch: EPOCH,
    onApplied: (range) => applied.push(range),
    onLoads: (tags) => loads.push(...tags),
  });
});

/** A router: polls with what it has applied, and applies what it is told. */
class Client {
  readonly endpoints = new Map<string, EndpointClosure>();
  snapshot = NO_SNAPSHOT;
  readonly #base: Pick<PollRequest, "client" | "kind" | "name">;
  #subscribe: PollRequest["subscribe"];
  #isRegistered = false;

  constructor(name: string, subscribe: PollRequest["subscribe"], kind: PollRequest["kind"] = "program") {
    this.#base = { client: `id-${name}`, kind, name };
    this.#subscribe = subscribe;
  }

  follow(subscribe: PollRequest["subscribe"]): void {
    this.#subscribe = subscribe;
    this.#isRegistered = false;
  }

  send(signal = new AbortController().signal, extra: Partial<PollRequest> = {}): Promise<PollAnswer> {
    const subscribe = this.#isRegistered ? {} : { subscribe: this.#subscribe };
    this.#isRegistered = true;
    return host.poll({ ...this.#base, ...subscribe, applied: this.snapshot, ...extra }, signal);
  }

  apply(answer: PollAnswer): void {
    if (answer.kind !== "news") return;
    if (answer.complete) this.endpoints.clear();
    for (const it of answer.endpoints) this.endpoints.set(it.tag, it);
    for (const tag of answer.removed) this.endpoints.delete(tag);
    this.snapshot = answer.snapshot;
  }

  async poll(): Promise<PollAnswer> {
    const answer = await this.send();
    this.apply(answer);
    return answer;
  }
}

/** Whether a promise is still open, once all that is ready has run. */
const isOpen = async (promise: Promise<unknown>): Promise<boolean> => {
  const open = Symbol();
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
  return (await Promise.race([promise, Promise.resolve(open)])) === open;
};

describe("registration", () => {
  test("a client that this life does not know is asked to say what it follows", async () => {
    const answer = await host.poll(
      { client: "x", kind: "proxy", name: "proxy#1", applied: NO_SNAPSHOT },
      new AbortController().signal,
    );
    expect(answer).toEqual({ kind: "register", epoch: EPOCH });
    expect(host.followers).toBe(0);
  });

  test("brings everything that is followed at once, and says that it is all", async () => {
    host.publish([set("e"), set("f")]);
    host.publish([set("g")]);
    const all = await new Client("proxy#1", "all", "proxy").send();
    expect(all).toMatchObject({ kind: "news", complete: true, endpoints: [{ tag: "e" }, { tag: "f" }, { tag: "g" }] });
    const some = await new Client("p", ["g", "nobody"] as EndpointTag[]).send();
    expect(some).toMatchObject({ complete: true, endpoints: [{ tag: "g" }] });
  });

  test("of a client of an older life makes it forget what is gone", async () => {
    const client = new Client("p", ["e"] as EndpointTag[]);
    client.snapshot = { epoch: EPOCH - 1, counter: 1_000 };
    client.endpoints.set("e", closure("e"));
    await client.poll();
    expect([...client.endpoints.keys()]).toEqual([]);
    expect(client.snapshot.epoch).toBe(EPOCH);
  });

  test("says 'this is all' only when every endpoint that exists has been published in this life", async () => {
    host.hold(["e", "f"] as EndpointTag[]);
    const proxy = new Client("proxy#1", "all", "proxy").send();
    const onlyE = new Client("p", ["e"] as EndpointTag[]).send();
    host.publish([set("e")]);
    expect(await onlyE).toMatchObject({ complete: true, endpoints: [{ tag: "e" }] });
    expect(await isOpen(proxy)).toBe(true);
    host.publish([set("f")]);
    expect(await proxy).toMatchObject({ complete: true, endpoints: [{ tag: "e" }, { tag: "f" }] });
  });

  test("of a proxy that was started again takes the place of its last process", async () => {
    await new Client("proxy#1", "all", "proxy").poll();
    const next = new Client("proxy#1", "all", "proxy");
    await host.poll(
      { client: "other", kind: "proxy", name: "proxy#1", subscribe: "all", applied: next.snapshot },
      new AbortController().signal,
    );
    expect(host.followers).toBe(1);
    expect(host.appliedBy("proxy#1")).toBeUndefined();
  });
});

describe("news", () => {
  test("go to those who follow the endpoint, to nobody else", async () => {
    const [e, f, all] = [
      new Client("e", ["e"] as EndpointTag[]),
      new Client("f", ["f"] as EndpointTag[]),
      new Client("all", "all"),
    ];
    for (const client of [e, f, all]) await client.poll();
    const polls = { e: e.send(), f: f.send(), all: all.send() };
    host.publish([set("e")]);
    expect(await polls.e).toMatchObject({ kind: "news", complete: false, endpoints: [{ tag: "e" }], removed: [] });
    expect(await polls.all).toMatchObject({ endpoints: [{ tag: "e" }] });
    expect(await isOpen(polls.f)).toBe(true);
  });

  test("that came between two polls come together, each endpoint once, as it is now", async () => {
    const client = new Client("p", "all");
    await client.poll();
    host.publish([set("e", 0.1)]);
    host.publish([set("f"), set("e", 0.2)]);
    host.publish([gone("f"), set("g")]);
    const answer = await client.send();
    expect(answer).toMatchObject({ kind: "news", complete: false, removed: ["f"] });
    if (answer.kind !== "news") return;
    expect(answer.endpoints.map((it) => [it.tag, it.traffic["b" as never]]).sort()).toEqual([
      ["e", 0.2],
      ["g", 1],
    ]);
  });

  test("whose answer was lost are sent again", async () => {
    const client = new Client("p", ["e"] as EndpointTag[]);
    await client.poll();
    host.publish([set("e")]);
    const lost = await client.send();
    expect(await client.send()).toEqual(lost);
  });

  test("of an endpoint that is followed later come whole, also when it has not changed since, also when the answer is lost", async () => {
    host.publish([set("e"), set("f")]);
    const client = new Client("p", ["e"] as EndpointTag[]);
    await client.poll();
    client.follow(["e", "f"] as EndpointTag[]);
    expect(await client.send()).toMatchObject({ complete: false, endpoints: [{ tag: "f" }] });
    expect(await client.poll()).toMatchObject({ complete: false, endpoints: [{ tag: "f" }] });
    expect(await isOpen(client.send())).toBe(true);
  });

  test("of an unknown endpoint are waited for", async () => {
    const client = new Client("p", ["e"] as EndpointTag[]);
    await client.poll();
    const poll = client.send();
    expect(await isOpen(poll)).toBe(true);
    host.publish([set("e")]);
    expect(await poll).toMatchObject({ endpoints: [{ tag: "e" }] });
  });

  test("that are not remembered any more make the answer complete", async () => {
    const client = new Client("p", "all");
    await client.poll();
    host.publish([set("e"), set("f")]);
    await client.poll();
    host.publish([gone("f")]);
    for (let index = 0; index <= 2 * MAX_POLL_CHANGES; index += 1) host.publish([set("e", index)]);
    expect(await client.poll()).toMatchObject({ complete: true, endpoints: [{ tag: "e" }] });
    expect([...client.endpoints.keys()]).toEqual(["e"]);
  });

  test("bring every client to what is published, whatever is lost on the way, with ids that only rise", () => {
    const tags = ["e", "f", "g"];
    const step = fc.oneof(
      fc.tuple(fc.constantFrom(...tags), fc.nat(9)).map(([tag, weight]) => ({ kind: "set", tag, weight }) as const),
      fc.constantFrom(...tags).map((tag) => ({ kind: "gone", tag }) as const),
      fc.tuple(fc.nat(2), fc.boolean()).map(([client, isLost]) => ({ kind: "poll", client, isLost }) as const),
      fc.tuple(fc.nat(1), fc.subarray(tags)).map(([client, follows]) => ({ kind: "follow", client, follows }) as const),
    );
    return fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        host = new LongPollHost({ clock, epoch: EPOCH, onApplied: () => {}, onLoads: () => {} });
        const truth = new Map<string, EndpointClosure>();
        const follows: string[][] = [["e"], ["f"], tags];
        const clients = [
          new Client("0", ["e"] as EndpointTag[]),
          new Client("1", ["f"] as EndpointTag[]),
          new Client("2", "all"),
        ];
        const poll = async (index: number, isLost: boolean) => {
          const client = clients[index]!;
          const ended = new AbortController();
          ended.abort();
          const answer = await client.send(ended.signal);
          if (isLost || answer.kind !== "news") return;
          expect(answer.snapshot.counter).toBeGreaterThanOrEqual(client.snapshot.counter);
          client.apply(answer);
        };
        for (const it of steps) {
          if (it.kind === "set") {
            truth.set(it.tag, closure(it.tag, it.weight));
            host.publish([set(it.tag, it.weight)]);
          } else if (it.kind === "gone") {
            truth.delete(it.tag);
            host.publish([gone(it.tag)]);
          } else if (it.kind === "poll") await poll(it.client, it.isLost);
          else {
            follows[it.client] = [...new Set([...follows[it.client]!, ...it.follows])];
            clients[it.client]!.follow(follows[it.client] as EndpointTag[]);
          }
        }
        for (const [index, client] of clients.entries()) {
          await poll(index, false);
          const wanted = [...truth].filter(([tag]) => follows[index]!.includes(tag)).sort();
          expect([...client.endpoints].sort()).toEqual(wanted);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe("acknowledgements", () => {
  test("a poll says what its client has applied, and who is behind is known by name", async () => {
    const client = new Client("replica b#1", ["e"] as EndpointTag[], "replica");
    await client.poll();
    void client.send();
    const counter = host.publish([set("e")]);
    expect(host.behind("e" as EndpointTag, counter)).toEqual([{ name: "replica b#1", kind: "replica" }]);
    expect(host.behind("f" as EndpointTag, counter)).toEqual([]);
    expect(host.unsettled(counter)).toHaveLength(1);
    const answer = await client.poll();
    client.apply(answer);
    void client.send();
    expect(host.behind("e" as EndpointTag, counter)).toEqual([]);
    expect(host.unsettled(counter)).toEqual([]);
    expect(host.appliedBy("replica b#1")).toBe(counter);
    expect(applied.at(-1)?.upTo).toBe(counter);
  });

  test("a client that has registered and applied nothing yet is behind everything", async () => {
    void new Client("proxy#1", "all", "proxy").send();
    expect(host.behind("e" as EndpointTag, 0)).toHaveLength(1);
    expect(host.unsettled(0)).toHaveLength(1);
    expect(host.appliedBy("proxy#1")).toBeUndefined();
  });

  test("of another life, or of a snapshot that was never sent, count for nothing", async () => {
    const client = new Client("proxy#1", "all", "proxy");
    await client.poll();
    client.snapshot = { epoch: EPOCH - 1, counter: 99 };
    await client.send();
    expect(host.appliedBy("proxy#1")).toBeUndefined();
    client.snapshot = { epoch: EPOCH, counter: 99 };
    await client.send();
    expect(host.appliedBy("proxy#1")).toBeUndefined();
  });
});

describe("the end of a poll", () => {
  test("comes after thirty seconds without news, or after the time that the client gave", async () => {
    const client = new Client("p", "all");
    await client.poll();
    const long = client.send();
    clock.advance(29_999);
    expect(await isOpen(long)).toBe(true);
    clock.advance(1);
    expect(await long).toEqual({ kind: "idle", epoch: EPOCH });
    const short = client.send(undefined, { waitMs: 10 });
    clock.advance(10);
    expect(await short).toEqual({ kind: "idle", epoch: EPOCH });
  });

  test("leaves nothing behind, however it came (defect 23 of the ancestor)", async () => {
    const client = new Client("p", "all");
    await client.poll();
    const idle = clock.timers;
    for (let round = 0; round < 100; round += 1) {
      const gone = new AbortController();
      const poll = client.send(gone.signal);
      if (round % 3 === 0) gone.abort();
      else if (round % 3 === 1) clock.advance(30_000);
      else host.publish([set("e", round)]);
      client.apply(await poll);
    }
    expect(clock.timers).toBe(idle);
    expect(host.followers).toBe(1);
  });

  test("by a newer poll of the same client answers the older one", async () => {
    const client = new Client("p", "all");
    await client.poll();
    const first = client.send();
    const second = client.send();
    expect(await first).toEqual({ kind: "idle", epoch: EPOCH });
    expect(await isOpen(second)).toBe(true);
  });

  test("by a lost connection forgets the client after a second, unless it comes back", async () => {
    const client = new Client("p", "all");
    await client.poll();
    const lost = new AbortController();
    const poll = client.send(lost.signal);
    lost.abort();
    await poll;
    clock.advance(999);
    expect(host.followers).toBe(1);
    const back = client.send();
    clock.advance(5_000);
    expect(host.followers).toBe(1);
    expect(await isOpen(back)).toBe(true);

    const again = new AbortController();
    const last = client.send(again.signal);
    again.abort();
    await last;
    clock.advance(1_000);
    expect(host.followers).toBe(0);
    expect(applied.at(-1)).toEqual({ after: -1, upTo: host.counter });
  });

  test("forgets a client that was answered and never asks again", async () => {
    await new Client("p", "all").poll();
    clock.advance(64_999);
    expect(host.followers).toBe(1);
    clock.advance(1);
    expect(host.followers).toBe(0);
    expect(clock.timers).toBe(0);
  });

  test("by the end of the life sends every client to the next one", async () => {
    const client = new Client("p", "all");
    await client.poll();
    const poll = client.send();
    host.close();
    await expect(poll).rejects.toMatchObject({ code: "not-leading" });
    await expect(client.send()).rejects.toMatchObject({ code: "not-leading" });
    expect(clock.timers).toBe(0);
    expect(host.followers).toBe(0);
  });
});

describe("loads", () => {
  test("of all routers are summed by backend, the last report of each", async () => {
    const [x, y] = [new Client("x", "all"), new Client("y", "all")];
    await x.send(undefined, { loads: { b: 3 } as never });
    await y.send(undefined, { loads: { b: 4, c: 1 } as never });
    expect(host.load("b" as never)).toBe(7);
    await x.send(undefined, { loads: { b: 1 } as never });
    expect([host.load("b" as never), host.load("c" as never)]).toEqual([5, 1]);
    clock.advance(65_000);
    expect(host.load("b" as never)).toBe(0);
    expect(loads).toEqual(["b", "b", "c", "b", "b", "c", "b"]);
  });
});
