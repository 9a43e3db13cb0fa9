/**
 * What `plan` says a call would do is what then happens, in a real controller with real agents and routers, when nothing fails and nobody
 * else asks for anything: which processes start and go, which are configured, and which records come, change and go.
 */
import { expect, test } from "vitest";
import type { Assignment } from "../../model/actor.ts";
import type { Call } from "../../model/calls.ts";
import type { BackendRecord } from "../../model/records.ts";
import { unrest } from "../checkers/at-rest.ts";
import { watchOver } from "../checkers/checkers.ts";
import { NO_CRASHES } from "../kernel/effects.ts";
import { type Commit, keyOf } from "../store/sim-store.ts";
import { type CallBody, Clients } from "../swarm/clients.ts";
import { World } from "../world.ts";
import type { Step } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";

const STEP_MS = 120_000;
const LOOK_MS = 250;

const isCall = (step: Step): step is CallBody => "tag" in step || step.kind === "deploy";

test.each(["creating, splitting and deleting", "scaling, updating and restarting", "deploying and deploying again"])(
  "%s: every step as planned",
  { timeout: 60_000 },
  async (name) => {
    const world = new World({ seed: "planned", nodes: 1, effects: NO_CRASHES });
    const clients = new Clients(world, 0);
    const facts = watchOver(world, (id) => clients.callOf(id));
    const rest = async () => {
      for (let left = STEP_MS / LOOK_MS; left > 0 && unrest(world, facts).length > 0; left -= 1)
        await world.run(LOOK_MS);
      expect(world.violation).toBeUndefined();
      expect(unrest(world, facts)).toEqual([]);
    };
    let done: string[] = [];
    world.on("commit", (commit) => done.push(...deedsOf(world, commit)));
    world.start();
    await world.run(5_000);
    await rest();
    let compared = 0;
    for (const step of SCENARIOS[name]!.steps.filter(isCall)) {
      const before = JSON.stringify([facts.backends(), facts.endpoints(), facts.assignments()]);
      const planned = await within(world, world.seats()[0]!.controller.plan({ ...step, goalId: "planned" } as Call));
      expect(JSON.stringify([facts.backends(), facts.endpoints(), facts.assignments()])).toBe(before);
      done = [];
      const { kind } = await within(world, clients.send(step, "never"));
      expect(kind).toBe("goal");
      await rest();
      const goal = facts.goal([...clients.calls.keys()].at(-1)!);
      if (goal?.state !== "reached") continue;
      const words = planned.map(({ action, target }) => `${action} ${target.replace(/#\d+$/, "")}`);
      expect(done.sort()).toEqual(words.filter((word) => WORDS.test(word)).sort());
      compared += 1;
    }
    expect(compared).toBeGreaterThan(5);
  },
);

const WORDS = /^(create|update|delete) (backend|endpoint) |^(start|configure|drain|kill) replica /;

/** Virtual time passes until it is there. */
const within = async <T>(world: World, promise: Promise<T>): Promise<T> => {
  let settled = false;
  const end = () => {
    settled = true;
  };
  promise.then(end, end);
  await world.run(STEP_MS, () => settled);
  return promise;
};

/** What a transaction means, in the words of a plan. */
const deedsOf = (world: World, { changes, before }: Commit): readonly string[] =>
  changes.flatMap((change, index) => {
    const key = keyOf(change);
    const [was, is] = [before[index]?.value, change.kind === "put" ? change.entry.value : undefined].map(
      (text) => text && (JSON.parse(text) as unknown),
    );
    if (key.startsWith(world.keys.assigns)) return assignmentDeeds(was as Assignment | undefined, is as Assignment);
    if (key.startsWith(world.keys.backends)) return backendDeeds(was as BackendRecord | undefined, is as BackendRecord);
    if (!key.startsWith(world.keys.endpoints)) return [];
    const tag = key.slice(world.keys.endpoints.length);
    if (is === undefined) return [`delete endpoint ${tag}`];
    return [`${was === undefined ? "create" : "update"} endpoint ${tag}`];
  });

const assignmentDeeds = (was: Assignment | undefined, is: Assignment | undefined): readonly string[] => {
  if (is?.spec.kind !== "replica") return [];
  const of = `replica ${is.spec.backend}`;
  if (was === undefined) return [`start ${of}`];
  if (was.intent.kind !== is.intent.kind) return [`${is.intent.kind} ${of}`];
  return was.configRevision === is.configRevision ? [] : [`configure ${of}`];
};

const backendDeeds = (was: BackendRecord | undefined, is: BackendRecord | undefined): readonly string[] => {
  if (is === undefined) return [];
  if (was === undefined) return [`create backend ${is.tag}`];
  if (is.deleting !== undefined) return was.deleting === undefined ? [`delete backend ${is.tag}`] : [];
  const isSame = was.goal === is.goal;
  return isSame ? [] : [`update backend ${is.tag}`];
};
