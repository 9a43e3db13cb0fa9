/**
 * Makes docs/metrics.md from the table of metrics in src/model/metrics.ts. `node scripts/metrics-doc.ts` prints it,
 * `node scripts/metrics-doc.ts --write` writes the file; a test fails while the file is not what this makes.
 */
import { writeFileSync } from "node:fs";
import { edgesOf } from "../src/base/histogram.ts";
import { MAX_KEPT_SERIES, MAX_METRIC_NAMES, METRICS_WAIT_MS } from "../src/model/limits.ts";
import {
  DEFAULT_METRICS,
  DURATION,
  METRIC_LABELS,
  METRIC_NAMES,
  type MetricSource,
  metricInfo,
  SIZE,
} from "../src/model/metrics.ts";

const HEAD = `# Metrics

<!-- Made by \`node scripts/metrics-doc.ts --write\` from src/model/metrics.ts. Do not edit. -->

\`\`\`sh
maitred start --metrics-port ${DEFAULT_METRICS.port}          # or run; --metrics-host, MAITRED_METRICS_PORT, serve.start({ metrics: { host, port } })
curl http://${DEFAULT_METRICS.host}:${DEFAULT_METRICS.port}/metrics
\`\`\`

Off unless asked for. The agent answers for its whole node, in the Prometheus text format 0.0.4, on a listener of its own; \`maitred status\` says where. Each start asks anew. Port 0 takes a free one; a port in
use is a failed start. A loopback address needs no token; any other needs that of the instance (\`authorization: Bearer …\`, the file \`token\` of the state folder). Everything is counted
whether it is scraped or not, for at most 1 µs a request in all processes together.

- **A scrape asks** every process of the node and waits at most ${METRICS_WAIT_MS} ms. Who does not answer in time (a handler that blocks its loop, a process that is stopped) has
  \`maitred_process_up\` 0, its counts as it last told them, and no gauges; with its next answer it is back.
- **Counters are sums over processes**, and they go on rising when a process ends: the agent keeps what it last told, for ${MAX_KEPT_SERIES} series of each metric. A process that ends in
  good order tells all; of one that is killed, what it counted since the last scrape is lost. Another agent takes the sums over; when the instance is stopped they are gone.
- **A program with handles** (\`from="program"\`) counts too, while it runs on the node.
- **Names are bounded**: ${MAX_METRIC_NAMES} of them in each metric; what comes later counts as \`_other\`. Paths, request ids and shard keys are never labels.
- **Buckets**: seconds ${list(edgesOf(DURATION).map((edge) => edge / 1_000))}; items ${list(edgesOf(SIZE))}.

`;

const SOURCES: Readonly<Record<MetricSource, string>> = {
  proxy: "HTTP (proxies)",
  router: "Routers and the wire (proxies, replicas with handles, programs)",
  replica: "Replicas",
  controller: "Controller",
  agent: "Processes of the node (agent)",
};

function list(edges: readonly number[]): string {
  return `${edges.slice(0, 3).join(", ")} … ${edges.at(-1)}, each twice the one before`;
}

export const metricsDoc = (): string =>
  HEAD +
  Object.entries(SOURCES)
    .map(([source, title]) => {
      const names = METRIC_NAMES.filter((name) => metricInfo(name).source === source);
      return `## ${title}\n\n| metric | kind | labels | meaning |\n|---|---|---|---|\n${names.map(rowOf).join("")}\n`;
    })
    .join("") +
  `## Labels\n\n| label | values |\n|---|---|\n${Object.entries(METRIC_LABELS)
    .map(([label, { meaning }]) => `| \`${label}\` | ${meaning} |\n`)
    .join("")}`;

const rowOf = (name: (typeof METRIC_NAMES)[number]): string => {
  const { kind, labels, help } = metricInfo(name);
  return `| \`${name}\` | ${kind} | ${labels.map((label) => `\`${label}\``).join(" ")} | ${help} |\n`;
};

if (import.meta.main) {
  if (process.argv.includes("--write")) writeFileSync(new URL("../docs/metrics.md", import.meta.url), metricsDoc());
  else process.stdout.write(metricsDoc());
}
