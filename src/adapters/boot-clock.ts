/**
 * The clock that processes of one machine share: milliseconds since this boot (CLOCK_MONOTONIC), and which boot it is.
 * The only instants that may be saved are pairs of both; the instants of ports/clock.ts mean nothing to another process.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { ServeError } from "../base/serve-error.ts";

const LINUX_BOOT_ID = "/proc/sys/kernel/random/boot_id";

/** Milliseconds since boot, the same in every process of the machine. */
export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

/** Tells this boot from every other. Reads a file or runs a program: ask once and keep the answer. */
export function readBootId(): string {
  try {
    const text =
      process.platform === "darwin"
        ? execFileSync("/usr/sbin/sysctl", ["-n", "kern.bootsessionuuid"], { encoding: "utf8" })
        : readFileSync(LINUX_BOOT_ID, "utf8");
    return text.trim();
  } catch (cause) {
    throw new ServeError("platform-unsupported", `This machine does not tell which boot it is in (${LINUX_BOOT_ID}).`, {
      cause,
    });
  }
}
