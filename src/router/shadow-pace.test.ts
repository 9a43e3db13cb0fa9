/** A shadow whose answer never ends: it is read away at a bounded rate, and the primary does not know of it. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { ManualClock } from "../../tests/harness/manual-clock.ts";
import { backendOf, endpointOf, RouterLab } from "../../tests/harness/router-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import type { WireQuery } from "../../tests/harness/wire-replica.ts";
import { FLOW_WINDOW_BYTES, SHADOW_BYTES_PER_WINDOW, SHADOW_WINDOW_MS, STREAM_WINDOW_BYTES } from "../model/limits.ts";

const DEADLINE_MS = 5_000;
let clock: ManualClock;
let lab: RouterLab;

beforeEach(() => {
  clock = new ManualClock();
  lab = new RouterLab({ clock });
});
afterEach(() => lab.close());

test("an endless answer of a shadow is read at a bounded rate, and goes on", async () => {
  const primary = await lab.replica({ onQuery: (query) => query.answer("well") });
  const copies: WireQuery[] = [];
  const shadow = await lab.replica({ backend: "s", onQuery: (query) => void copies.push(query) });
  lab.publish(endpointOf({ b: backendOf([primary]), s: backendOf([shadow]) }, { shadows: { s: 1 } }));
  expect((await lab.ask().outcome).failure).toBeUndefined();
  await waitFor("the copy came", () => copies.length === 1, DEADLINE_MS);

  const [copy] = copies;
  const { line, streamId } = copy!;
  const credit = () => line.credits.get(streamId) ?? 0;
  const part = new Uint8Array(STREAM_WINDOW_BYTES / 2);
  copy!.reply({ kind: "items" }, undefined);
  let sent = 0;
  /** As a replica does: as much as there is credit for, until none comes any more. */
  const flood = async () => {
    for (let stands = 0; stands < 3; ) {
      const before = sent;
      while (sent + part.length <= credit() + STREAM_WINDOW_BYTES) {
        copy!.data(part);
        sent += part.length;
      }
      await lab.ask().outcome; // a round trip on the other line: what was written here is read
      await new Promise((resolve) => setImmediate(resolve));
      stands = sent === before ? stands + 1 : 0;
    }
  };
  const slack = FLOW_WINDOW_BYTES + STREAM_WINDOW_BYTES;
  for (let windows = 1; windows <= 3; windows += 1) {
    await flood();
    expect(sent).toBeGreaterThan(windows * SHADOW_BYTES_PER_WINDOW - slack);
    expect(sent).toBeLessThan(windows * SHADOW_BYTES_PER_WINDOW + slack);
    clock.advance(SHADOW_WINDOW_MS);
  }
});
