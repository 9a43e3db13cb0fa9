/** What this process says when its agent collects: all that it has counted, and what the process itself costs. */
import type { Meters } from "../core/metrics/meters.ts";
import type { MetricsSnapshot, ProcessUsage } from "../model/metrics.ts";

/** @param life of these meters, when this process has others too; default: that of the process. */
export const snapshotOf = (meters: Meters, life = String(Math.round(performance.timeOrigin))): MetricsSnapshot => ({
  life,
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
