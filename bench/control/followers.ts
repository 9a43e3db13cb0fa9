/**
 * One change, and how long until the last of 200 long-poll clients that follow its endpoint has applied it. As many clients follow
 * another endpoint: they must hear nothing.
 */
import type { Comparison } from "../comparison.ts";
import { type Server, startServer } from "../programs.ts";
import { ControlWorld } from "./world.ts";

const FOLLOWERS = 200;
const SIZE = 10;
/** Changes of one round and second of effort. */
const CHANGES_PER_SECOND = 50;

interface Followed {
  readonly p99Ms: number;
  /** Answers with news to clients that follow something else. */
  readonly strayNews: number;
}

export const followers: Comparison = {
  group: "control",
  rows: [
    {
      name: "a change to the last of 200 long-poll clients: p99",
      unit: "ms",
      value: { side: "followers", reading: "p99" },
      must: { on: "value", atMost: 50 },
    },
    {
      name: "a change to 200 long-poll clients that follow another endpoint",
      unit: "answers",
      value: { side: "followers", reading: "stray" },
      must: { on: "value", atMost: 0 },
    },
  ],
  open: async (bench) => {
    const world = await ControlWorld.open(bench, SIZE);
    await world.playProxy();
    const program: Server<object> = await startServer("load/follow-load.ts", [world.runDir, FOLLOWERS]);
    const count = Math.ceil(bench.effort.seconds * CHANGES_PER_SECOND);
    return {
      sides: {
        followers: async () => {
          const { p99Ms, strayNews } = await program.ask<Followed>(String(count));
          return { p99: p99Ms, stray: strayNews };
        },
      },
      close: async () => {
        await program.stop();
        await world.close();
      },
    };
  },
};
