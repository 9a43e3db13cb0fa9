/** A body far larger than anybody may hold, through the processes of an instance. */
import { expect, test } from "vitest";
import { backend } from "../../src/index.ts";
import { processesOf } from "../harness/census.ts";
import { fixture } from "../harness/echo.ts";
import { sendLargeBody } from "../harness/exchange.ts";
import { useLab } from "../harness/lab.ts";
import { residentBytes } from "../harness/processes.ts";

const lab = useLab("test");
const BODY_BYTES = 256 * 1_048_576;
/** Whoever kept the body would grow by all of it; garbage of what passes is collected now and then. */
const MEMORY_GROWTH_BYTES = 100_000_000;

test.each(["with its length", "in chunks"] as const)(
  "a body of 256 MB passes with flat memory (%s)",
  async (framing) => {
    const { client, url, status } = await lab().start();
    await client.createBackend("count", backend({ module: fixture("apps/count-bytes.ts"), export: "countBytes" }));
    await client.createEndpoint("count", { route: "/count", backend: "count" });
    const found = await status();
    const pids = [...processesOf(found, "proxy"), ...processesOf(found, "replica")].map(({ pid }) => pid ?? 0);
    expect(pids.length).toBeGreaterThanOrEqual(2);
    const before = pids.map(residentBytes);
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, ...pids.map((pid, index) => residentBytes(pid) - before[index]!));
    }, 20);
    try {
      const port = Number(new URL(url).port);
      const text = await sendLargeBody(
        { host: "127.0.0.1", port },
        { line: "POST /count", bytes: BODY_BYTES, framing, end: "sent" },
      );
      expect(text).toMatch(/^HTTP\/1\.1 200 /);
      expect(text).toMatch(new RegExp(`\r\n\r\n${BODY_BYTES}$`));
    } finally {
      clearInterval(watch);
    }
    expect(most).toBeLessThan(MEMORY_GROWTH_BYTES);
  },
  60_000,
);
