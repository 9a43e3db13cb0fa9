/**
 * What became of every query, held against what was killed when, and against what the handlers noted. Pure: `chaos/run.ts` feeds it.
 *
 * A failure is explained when the query was under way while something died that it may have been on: a proxy for one over HTTP, a replica
 * that has noted it, or any while none has. What is sent to a process after the signal and before its end dies with it, so that the time of
 * dying counts, as the kernel shows it. Nothing else may fail, and what may run again only when it has used up its tries. Refusals (503,
 * 504) are answers: nothing was started, or its time was over.
 */
import { MAX_RETRIES_PER_QUERY } from "../src/model/limits.ts";

export type Door = "http" | "handle" | "stream" | "relay";

export interface Query {
  readonly id: string;
  readonly door: Door;
  /** `once`: may not run twice, whatever happens. */
  readonly runs: "once" | "again";
  readonly sentAt: number;
  /** undefined: no answer came, not even a failure. */
  readonly end: End | undefined;
}

export interface End {
  readonly at: number;
  readonly kind: "answered" | "refused" | "failed" | "reset" | "wrong";
  /** Status and code, for people. */
  readonly what: string;
}

export interface Kill {
  readonly what: "replica" | "proxy" | "controller" | "agent";
  /** As `status` has it: of a replica its tag. */
  readonly name: string;
  readonly pid: number;
  /** The last moment at which it certainly lived. */
  readonly at: number;
  /** The first at which it certainly did not. */
  readonly goneAt: number;
}

/** A query that failed or was reset, and what could have done that. */
export interface Broken {
  readonly query: Query;
  /** The processes that ran it. */
  readonly ranOn: readonly number[];
  readonly kills: readonly Kill[];
}

export interface Account {
  readonly sent: number;
  readonly answered: number;
  readonly refused: number;
  readonly failed: number;
  readonly reset: number;
  readonly lost: number;
  readonly ranTwice: number;
  readonly ranTwiceOnPurpose: number;
  readonly late: number;
  /** So many could have been in flight on what was killed. */
  readonly mayFail: number;
  readonly broken: readonly Broken[];
  /** Those of them that no kill explains. */
  readonly unexplained: readonly Broken[];
  /** Those that a kill explains, and that should have been run again elsewhere. */
  readonly givenUp: readonly Broken[];
  /** Ids that ran twice and may not. */
  readonly twice: readonly string[];
}

/** From the kernel's word that a process is gone until all that had a connection to it have seen that: event loops of a busy machine. */
const NOTICE_MS = 250;

export interface Note {
  readonly id: string;
  readonly pid: number;
}

export interface Evidence {
  readonly queries: readonly Query[];
  readonly kills: readonly Kill[];
  /** Every id that a handler noted, as often as it did, and in which process. */
  readonly noted: readonly Note[];
  readonly deadlineMs: number;
}

export const accountOf = ({ queries, kills, noted, deadlineMs }: Evidence): Account => {
  const count = (kind: End["kind"]) => queries.filter((query) => query.end?.kind === kind).length;
  const ranOn = Map.groupBy(noted, ({ id }) => id);
  const pidsOf = (id: string) => (ranOn.get(id) ?? []).map(({ pid }) => pid);
  const killsOf = (query: Query) => kills.filter((kill) => couldBreak(kill, query, pidsOf(query.id)));
  const broken = queries
    .filter(({ end }) => end?.kind === "failed" || end?.kind === "reset" || end?.kind === "wrong")
    .map((query) => ({ query, ranOn: pidsOf(query.id), kills: killsOf(query) }));
  const repeated = [...ranOn].filter(([, notes]) => notes.length > 1).map(([id]) => id);
  const mayRepeat = new Set(queries.filter(({ runs }) => runs === "again").map(({ id }) => id));
  const twice = repeated.filter((id) => !mayRepeat.has(id));
  return {
    sent: queries.length,
    answered: count("answered"),
    refused: count("refused"),
    failed: count("failed") + count("wrong"),
    reset: count("reset"),
    lost: queries.filter(({ end }) => end === undefined).length,
    ranTwice: twice.length,
    ranTwiceOnPurpose: repeated.length - twice.length,
    late: queries.filter(({ end, sentAt }) => end?.kind === "answered" && end.at - sentAt > deadlineMs).length,
    mayFail: queries.filter((query) => killsOf(query).length > 0).length,
    broken,
    unexplained: broken.filter((it) => !isExplained(it)),
    givenUp: broken.filter((it) => isExplained(it) && isGivenUp(it)),
    twice,
  };
};

/** What must hold, as sentences about what does not. */
export const verdictOf = (account: Account): readonly string[] =>
  [
    account.lost > 0 ? `${account.lost} queries got no answer at all` : "",
    account.ranTwice > 0 ? `${account.ranTwice} queries that may run once ran twice: ${some(account.twice)}` : "",
    account.unexplained.length > 0
      ? `${account.unexplained.length} failed though nothing that they were on was killed: ${someOf(account.unexplained)}`
      : "",
    account.givenUp.length > 0
      ? `${account.givenUp.length} that may run again failed before their tries were used up: ${someOf(account.givenUp)}`
      : "",
  ].filter((sentence) => sentence !== "");

/** One line for a person who asks why: times in ms, counted from the sending of the query. */
export const lineOf = ({ query: { id, door, runs, sentAt, end }, ranOn, kills }: Broken): string => {
  const since = (at: number) => `${(at - sentAt).toFixed(1)}`;
  const by = kills.map(({ name, pid, at, goneAt }) => `${name} (${pid}) killed ${since(at)} gone ${since(goneAt)}`);
  return `${id} ${door} ${runs} sent ${sentAt.toFixed(1)} ${end?.kind} ${end === undefined ? "" : since(end.at)} ${end?.what}; ran on ${ranOn.join(" ") || "nobody"}; ${by.join(", ") || "no kill"}`;
};

export const tableOf = (account: Account): string =>
  (
    [
      ["sent", account.sent],
      ["answered", account.answered],
      ["refused (503, 504)", account.refused],
      ["failed", account.failed],
      ["connections reset", account.reset],
      ["lost (no answer)", account.lost],
      ["run twice, and may not", account.ranTwice],
      ["run twice, and may", account.ranTwiceOnPurpose],
      ["answered after the deadline", account.late],
      ["could have been in flight on what was killed", account.mayFail],
    ] as const
  )
    .map(([name, value]) => `${name.padEnd(46)}${String(value).padStart(9)}`)
    .join("\n");

const breaks = ({ what }: Kill): boolean => what === "replica" || what === "proxy";

const isExplained = ({ query, kills }: Broken): boolean => query.end?.kind !== "wrong" && kills.length > 0;

/** A stream may have begun to answer, and a relay calls on by a query of its own that may run once. */
const isGivenUp = ({ query: { door, runs, end }, kills }: Broken): boolean =>
  runs === "again" &&
  (door === "http" || door === "handle") &&
  end?.kind === "failed" &&
  kills.filter(({ what }) => what === "replica").length <= MAX_RETRIES_PER_QUERY;

const couldBreak = (kill: Kill, { door, sentAt, end }: Query, ranOn: readonly number[]): boolean => {
  if (!breaks(kill) || end === undefined || sentAt > kill.goneAt + NOTICE_MS || end.at < kill.at) return false;
  if (kill.what === "proxy") return door === "http" || door === "relay";
  // A reset is the work of whoever held the connection.
  if (end.kind === "reset" && door !== "stream") return false;
  if (kill.name.startsWith("relay:")) return door === "relay";
  return ranOn.length === 0 || ranOn.includes(kill.pid);
};

const someOf = (broken: readonly Broken[]): string =>
  some(broken.map(({ query: { id, door, end } }) => `${id} by ${door} (${end?.what})`));

const some = (items: readonly string[]): string =>
  items.length <= 5 ? items.join(", ") : `${items.slice(0, 5).join(", ")} and ${items.length - 5} others`;
