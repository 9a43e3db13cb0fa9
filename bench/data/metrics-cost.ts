/**
 * What counting costs one HTTP request in all processes together: the calls that a proxy, its router and a replica make for it, with the
 * clocks that they read for it, in a loop; as CPU time, which others on the machine do not lengthen as much.
 */
import { createSystemClock } from "../../src/adapters/system-clock.ts";
import { Meters } from "../../src/core/metrics/meters.ts";
import type { QueryHead } from "../../src/model/wire.ts";
import { EdgeMeters } from "../../src/proxy/edge-meters.ts";
import { ReplicaMeters } from "../../src/replica/replica-meters.ts";
import { RouterMeters } from "../../src/router/router-meters.ts";
import type { Comparison } from "../comparison.ts";

const ENDPOINTS = 100;
const REQUESTS = 1_000_000;

export const metricsCost: Comparison = {
  group: "data",
  rows: [
    {
      name: "metrics, per request",
      unit: "µs",
      value: { side: "counting", reading: "cpu" },
      must: { on: "value", atMost: 1 },
    },
  ],
  open: async () => {
    const once = countingLoop();
    return { sides: { counting: async () => ({ cpu: once(REQUESTS) / 1_000 }) }, close: async () => {} };
  },
};

/** Nanoseconds of CPU for one request. */
const countingLoop = (): ((requests: number) => number) => {
  const clock = createSystemClock();
  const tags = Array.from({ length: ENDPOINTS }, (_, index) => `endpoint-${index}`);
  const known = new Set(tags);
  const edge = new EdgeMeters(new Meters(), () => ({ open: 0, accepted: 0, refused: 0 }));
  const router = new RouterMeters(new Meters(), "proxy", (endpoint) => known.has(endpoint));
  const pools = tags.map((tag) => router.poolOpened(`${tag}:v1`));
  const replica = new ReplicaMeters(new Meters(), "b", ["predict"]);
  const head = { kind: "http", callMethod: undefined } as QueryHead;
  return (requests) => {
    const before = process.cpuUsage();
    for (let request = 0; request < requests; request += 1) {
      const index = request % ENDPOINTS;
      const tag = tags[index]!;
      // The passage through the proxy begins; the router counts what it sends.
      const passage = edge.of(tag);
      const since = clock.now();
      const pool = pools[index]!;
      pool.sent.add();
      pool.waitMs.record(0);
      router.sentBytes.add(300);
      // The query ends in the replica.
      replica.of(head).ended("ok", clock.now() - since);
      // Its answer passes router and proxy.
      router.receivedBytes.add(300);
      router.ended(tag, "answered", clock.now() - since);
      passage.answered(200, clock.now() - since);
    }
    const { user, system } = process.cpuUsage(before);
    return ((user + system) * 1_000) / requests;
  };
};
