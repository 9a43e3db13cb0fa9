/** What the log hears of requests that are refused at the door, through a real one. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { ManualClock } from "../../tests/harness/manual-clock.ts";
import { RawHttp } from "../../tests/harness/raw-http.ts";
import { BREACH_WINDOW_MS, MOST_BREACH_LINES } from "../model/limits.ts";
import type { Log, LogFields } from "../ports/log.ts";
import { Complaints } from "./complaints.ts";
import { createDoorway } from "./doorway.ts";
import { guardTcp } from "./guard.ts";

const open = async () => {
  const lines: (readonly [string, LogFields | undefined])[] = [];
  const note = (event: string, fields?: LogFields): void => void lines.push([event, fields]);
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
  const clock = new ManualClock();
  const complaints = new Complaints({ log, clock });
  const guard = guardTcp({ token: "t", hosts: ["localhost"] });
  const server = createDoorway({ guard, complaints }, (_request, response) => response.end("taken"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const send = async (bytes: string) => {
    const raw = new RawHttp(url).send(bytes);
    const [answer] = await raw.answers();
    raw.close();
    return answer?.status;
  };
  return { lines, clock, complaints, send };
};

const GET = "GET / HTTP/1.1\r\nhost: localhost\r\n";

test("who is refused at the door stands in the log with the code and the reason, who is not does not", async () => {
  const { lines, send } = await open();
  expect(await send(`${GET}authorization: Bearer t\r\n\r\n`)).toBe(200);
  expect(lines).toEqual([]);
  expect(await send("nonsense\r\n\r\n")).toBe(400);
  expect(await send(`${GET}\r\n`)).toBe(401);
  expect(await send(`${GET}origin: https://evil.example\r\n\r\n`)).toBe(403);
  expect(lines).toEqual([
    ["request-refused", { code: "request-malformed", reason: expect.stringContaining("not well-formed HTTP") }],
    ["request-refused", { code: "unauthorized", reason: expect.stringContaining("send `authorization") }],
    ["request-refused", { code: "origin-refused", reason: expect.stringContaining("evil.example") }],
  ]);
});

test("of very many refusals, and of bugs, there are only so many lines, and the next says how many are left out", async () => {
  const { lines, clock, complaints, send } = await open();
  for (let sent = 0; sent < MOST_BREACH_LINES + 3; sent += 1) expect(await send("nonsense\r\n\r\n")).toBe(400);
  expect(lines).toHaveLength(MOST_BREACH_LINES);
  for (let bugs = 0; bugs < MOST_BREACH_LINES + 1; bugs += 1) complaints.bug(new Error("a bug"));
  expect(lines).toHaveLength(2 * MOST_BREACH_LINES);
  clock.advance(BREACH_WINDOW_MS);
  await send("nonsense\r\n\r\n");
  expect(lines.at(-1)).toMatchObject(["request-refused", { leftOut: 3 }]);
});
