/**
 * Mistakes that the tests must catch: each is planted, alone, in a copy of the sources by scripts/mutate.ts. They are the mistakes that
 * systems of this kind have really made. `find` is text that stands in the file exactly once; scripts/mutants.test.ts checks that it
 * still does, so that a mutant moves with the code it is about.
 */

export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  readonly name: string;
  /** Why this is wrong: what may happen. */
  readonly harm: string;
  readonly edits: readonly Edit[];
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: "act before save",
    harm: "a caller is told of a change that a crash takes back",
    edits: [
      {
        file: "src/controller/life.ts",
        find: `    if (!(await this.#save(decision, answered))) return;
    this.#reply(decision, answered);
`,
        replace: `    this.#reply(decision, answered);
    this.#publish(decision);
    if (!(await this.#save(decision, answered))) return;
`,
      },
    ],
  },
  {
    name: "ordinals drawn at random",
    harm: "two processes may get one name",
    edits: [
      {
        file: "src/core/reconcile-backend.ts",
        find: "    const ordinal = instance.nextOrdinal;",
        replace: "    const ordinal = 1 + Math.floor(Math.random() * 100);",
      },
    ],
  },
  {
    name: "fence left out",
    harm: "a controller that was stopped and resumes overwrites what its successor saved",
    edits: [
      {
        file: "src/controller/save.ts",
        find: "compare: [leads, ...compare], then });",
        replace: "compare: leads === undefined ? [] : compare, then });",
      },
    ],
  },
  {
    name: "agent's fence left out",
    harm: "an agent whose registration has lapsed reports for a node that is another's",
    edits: [
      {
        file: "src/agent/status-writer.ts",
        find: `      compare: [{ key: keys.node(node), kind: "createRevision", equals: registration.createRevision }],`,
        replace: '      compare: registration === undefined ? [{ key: keys.node(node), kind: "absent" }] : [],',
      },
    ],
  },
  {
    name: "snapshot id compared with !== only",
    harm: "a router goes back to what an older life of the controller says",
    edits: [
      {
        file: "src/longpoll/longpoll-client.ts",
        find: "    if (epoch < this.#applied.epoch) {",
        replace: "    if (epoch < 0) {",
      },
      {
        file: "src/longpoll/longpoll-client.ts",
        find: "      if (newer < 0 || (newer === 0 && !wasRegistering)) {",
        replace: "      if (newer === 0 && !wasRegistering) {",
      },
    ],
  },
  {
    name: "policy sent before its replicas",
    harm: "a router sends queries to a backend of which it knows no replica",
    edits: [
      {
        file: "src/core/closures.ts",
        find: "Array.from(backendsOf(record), (tag) => [tag, backendClosure(draft, tag)])",
        replace: `Array.from(backendsOf(record), (tag) => {
      const known = draft.soft.published.get(record.tag)?.closure;
      const isNew = known !== undefined && known.backends[tag] === undefined;
      return [tag, isNew ? { ...backendClosure(draft, tag), replicas: [] } : backendClosure(draft, tag)];
    })`,
      },
    ],
  },
  {
    name: "drain before unpublish",
    harm: "routers send queries to a replica that takes none any more",
    edits: [
      {
        file: "src/core/backend-plan.ts",
        find: `  if (replica.serving && withdrawal !== "complete")`,
        replace: `  if (replica.serving && withdrawal === "none" && seen.record.rollout < 0)`,
      },
    ],
  },
  {
    name: "goal settled from an empty listener registry",
    harm: "a new controller calls a change applied because it knows nobody who has not applied it",
    edits: [
      {
        file: "src/core/judge-goals.ts",
        find: "  const lagging = [...expectedProxies(view, soft, counter), ",
        replace: "  const lagging = [",
      },
      {
        file: "src/core/judge-goals.ts",
        find: "  const settlesFrom = soft.life.first ? soft.life.startedAt : soft.life.startedAt + RECONNECT_WINDOW_MS;",
        replace: "  const settlesFrom = soft.life.startedAt + RECONNECT_WINDOW_MS - RECONNECT_WINDOW_MS;",
      },
    ],
  },
  {
    name: "value-idempotency instead of goal ids",
    harm: "a late repetition of a call undoes somebody else's newer change",
    edits: [
      {
        file: "src/core/apply-call.ts",
        find: "  const known = draft.view.goal(call.goalId);",
        replace: '  const known = draft.view.goal("" as typeof call.goalId);',
      },
    ],
  },
];

/** The source with the mutant's edits of this file in it. */
export const mutated = (source: string, edits: readonly Edit[]): string =>
  edits.reduce((text, { file, find, replace }) => {
    const parts = text.split(find);
    if (parts.length !== 2) {
      throw new Error(`${file}: the text of a mutant stands there ${parts.length - 1} times, not once: ${find.trim()}`);
    }
    return parts.join(replace);
  }, source);
