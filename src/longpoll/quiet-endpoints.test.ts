/** What is left of a poll when another endpoint than the quiet ones that it followed has answered it. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { ManualClock } from "../../tests/harness/manual-clock.ts";
import type { EndpointTag } from "../model/ids.ts";
import { type EndpointClosure, NO_SNAPSHOT, type PollAnswer } from "../model/longpoll.ts";
import { LongPollHost } from "./longpoll-host.ts";

const TAGS = ["quiet", "busy"] as readonly string[] as readonly EndpointTag[];
const set = (tag: EndpointTag, weight: number) => ({
  tag,
  closure: { tag, spec: {}, traffic: { b: weight }, shadows: {}, backends: {} } as unknown as EndpointClosure,
});

/** In turns of their own: a weak reference holds until the turn that looked at it is over. */
const collectGarbage = async (): Promise<void> => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let turn = 0; turn < 3; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
};

test("a poll that is answered by one endpoint is not kept by the quiet ones that it followed (defect 23 of the ancestor)", async () => {
  const clock = new ManualClock();
  const host = new LongPollHost({ clock, epoch: 1, onApplied: () => {}, onLoads: () => {} });
  host.publish(TAGS.map((tag) => set(tag, 0)));
  const client = { client: "id", kind: "program", name: "p" } as const;
  let last: PollAnswer = await host.poll(
    { ...client, subscribe: TAGS, applied: NO_SNAPSHOT },
    new AbortController().signal,
  );
  const signals: WeakRef<AbortSignal>[] = [];
  for (let round = 1; round <= 100; round += 1) {
    const { signal } = new AbortController();
    signals.push(new WeakRef(signal));
    const applied = last.kind === "news" ? last.snapshot : NO_SNAPSHOT;
    const poll = host.poll({ ...client, applied }, signal);
    host.publish([set(TAGS[1]!, round)]);
    last = await poll;
    expect(last).toMatchObject({ kind: "news", endpoints: [{ tag: "busy", traffic: { b: round } }] });
  }
  await collectGarbage();
  // The last one may still be in this function's own frame.
  expect(signals.slice(0, -1).filter((it) => it.deref() !== undefined)).toEqual([]);
  expect(host.followers).toBe(1);
});
