/** Scrapes an instance, and waits until everybody has spoken: on a busy machine a process may be late for a scrape, and is told so. */
import { Scrape } from "./exposition.ts";
import { type Ask, ask } from "./http.ts";
import type { Started } from "./lab.ts";
import { waitFor } from "./wait-for.ts";

const DEADLINE_MS = 10_000;

export const metricsUrlOf = async (instance: Pick<Started, "status">): Promise<string> =>
  waitFor("status says where metrics are", async () => (await instance.status()).metrics[0], DEADLINE_MS);

export const scrape = async (url: string, options?: Ask): Promise<Scrape> => {
  const answer = await ask(url, options);
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
  return new Scrape(answer.text);
};

/** One in which every process but these has spoken. */
export const fullScrape = (url: string, silent: readonly string[] = []): Promise<Scrape> =>
  waitFor(
    "every process answers a scrape",
    async () => {
      const found = await scrape(url);
      const mute = found.metrics.get("maitred_process_up")?.samples.filter(({ value }) => value === 0) ?? [];
      return mute.every(({ labels }) => silent.includes(labels["process"] ?? "")) && found;
    },
    DEADLINE_MS,
  );
