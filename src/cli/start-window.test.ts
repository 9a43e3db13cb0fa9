import { afterEach, expect, test, vi } from "vitest";
import { expectError } from "../../tests/harness/expect-error.ts";
import { PROBE_TIMEOUT_MS } from "../model/limits.ts";
import { openStartWindow } from "./start-window.ts";

afterEach(() => vi.restoreAllMocks());

test.each([
  ["of a command that has --timeout names it", true, /takes long, or allow more time with --timeout 2m\.$/],
  ["of another one does not", false, /takes long\.$/],
])("an import that never ends: the error %s", async (_what, hasTimeout, message) => {
  const over = new AbortController();
  vi.spyOn(AbortSignal, "timeout").mockReturnValue(over.signal);
  const window = openStartWindow({
    ...{ file: "app.ts", timeoutMs: undefined, hasTimeout, interrupted: new AbortController().signal },
  });
  const load = window.load(
    (signal) => new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  );
  over.abort();
  expect((await expectError(load, "module-load-failed")).message).toMatch(message);
  expect(AbortSignal.timeout).toHaveBeenCalledWith(PROBE_TIMEOUT_MS);
});
