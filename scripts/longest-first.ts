/**
 * The order in which test files start: those known to be long come first, so that at the end no worker is left alone with one of them.
 * In a fresh checkout vitest knows only how large files are, which says nothing of how long they run.
 */
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** About 20 s and more, longest first; the first one computes, most of the others wait. */
export const LONG_FILES: readonly string[] = [
  "src/sim/scenario/scenario.test.ts",
  "tests/api/run.test.ts",
  "tests/faults/updates-under-crashes.test.ts",
  "tests/faults/chaos.test.ts",
  "tests/faults/traffic-under-crashes.test.ts",
  "tests/agent/survival.test.ts",
  "tests/api/commands.test.ts",
  "src/sim/swarm.test.ts",
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return longestFirst(await super.sort(files), ({ moduleId }) => moduleId);
  }
}

/** The others keep their order. */
export function longestFirst<T>(files: readonly T[], pathOf: (file: T) => string): T[] {
  const place = (file: T): number => {
    const found = LONG_FILES.findIndex((long) => pathOf(file).endsWith(`/${long}`));
    return found === -1 ? LONG_FILES.length : found;
  };
  return [...files].sort((a, b) => place(a) - place(b));
}
