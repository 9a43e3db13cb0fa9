/**
 * Many long-poll clients of one controller, half of which follow the endpoint that is changed. Arguments: run folder, clients of each
 * half. Each line on stdin, a number, makes so many changes and answers { p99Ms, strayNews }: from the call of `setTraffic` until
 * the last client has applied it, and news that reached clients of the other half.
 */
import { realpathSync } from "node:fs";
import { createInterface } from "node:readline";
import { createHttpControlTransport } from "../../src/adapters/http-control-transport.ts";
import { createHttpPollTransport } from "../../src/adapters/http-poll-transport.ts";
import { createSystemClock } from "../../src/adapters/system-clock.ts";
import { createSystemRandom } from "../../src/adapters/system-random.ts";
import { Control } from "../../src/client/client.ts";
import { LongPollClient, type News } from "../../src/longpoll/longpoll.ts";
import type { EndpointTag } from "../../src/model/ids.ts";
import { runFiles } from "../../src/model/places.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import { backendTag, endpointTag, INSTANCE, silent } from "../control/seed.ts";
import { quantile } from "../measure.ts";

const START_DEADLINE_MS = 30_000;

const [runDir = "", clients = "200"] = process.argv.slice(2);
const link = runFiles(runDir).controllerLink;
const address = `unix:${realpathSync(link)}` as const;
const clock = createSystemClock();
const random = createSystemRandom();
const [followed, other] = [endpointTag(3), endpointTag(7)];

/** The change that is under way: a share that no other change has, and who has not applied it. */
let share = 1;
const missing = new Set<LongPollClient>();
let allApplied: () => void = () => {};
let strayNews = 0;

const follow = (tag: EndpointTag, index: number): LongPollClient => {
  const apply = ({ endpoints }: News): void => {
    if (tag === other) strayNews += 1;
    else if (endpoints[0]?.traffic[backendTag(3)] === share && missing.delete(client) && missing.size === 0)
      allApplied();
  };
  const client = new LongPollClient(
    { transport: createHttpPollTransport({ leader: () => ({ address }) }), clock, log: silent },
    { client: `${tag}-${index}`, kind: "program", name: `program ${index}`, loads: () => ({}), apply },
  );
  client.follow(tag);
  client.start();
  return client;
};

const all = [followed, other].flatMap((tag) =>
  Array.from({ length: Number(clients) }, (_, index) => follow(tag, index)),
);
await waitFor(
  "every client knows its endpoint",
  () => all.every((client) => client.isRegistered && client.applied.counter > 0),
  START_DEADLINE_MS,
);

const control = new Control({
  transport: createHttpControlTransport({ kind: "unix", path: link }),
  clock,
  drawId: () => random.id(),
  isGone: () => false,
  instance: INSTANCE,
});

let changes = 0;
/** From the call until the last has it; the next change comes when its goal is reached, so when every client polls again. */
const change = async (): Promise<number> => {
  changes += 1;
  share = 0.25 + changes / 1e6;
  const weights = { [backendTag(3)]: share, [backendTag(4)]: 1 - share };
  for (const client of all.slice(0, Number(clients))) missing.add(client);
  const applied = new Promise<void>((resolve) => {
    allApplied = resolve;
  });
  const startedAt = performance.now();
  const reached = control.change({ method: "PUT", path: `/v1/endpoints/${followed}/traffic`, body: { weights } });
  await applied;
  const ms = performance.now() - startedAt;
  await reached;
  return ms;
};

process.stdout.write("{}\n");
for await (const line of createInterface({ input: process.stdin })) {
  strayNews = 0;
  const times: number[] = [];
  for (let index = 0; index < Number(line); index += 1) times.push(await change());
  process.stdout.write(`${JSON.stringify({ p99Ms: quantile(times, 0.99), strayNews })}\n`);
}
process.exit(0);
