/** What this process says when its agent collects: all that it has counted, and what the process itself costs. */
import type { Meters } from "../core/metrics/meters.ts";
import type { MetricsSnapshot, ProcessUsage } from "../model/metrics.ts";

export const snapshotOf = (meters: Meters): MetricsSnapshot => ({
  startedAt: Math.round(performance.timeOrigin),
  usage: usage(),
  samples: meters.samples(),
});

function usage(): ProcessUsage {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  return {
    cpuMs: (user + system) / 1_000,
    residentBytes: rss,
    heapBytes: heapUsed,
    loopBusyMs: performance.eventLoopUtilization().active,
  };
}
