/**
 * What became of every query, held against what was killed when, and against what the handlers noted. Pure: `chaos/run.ts` feeds it.
 *
 * A failure is explained when the query was under way while something that it may have been on was killed: a replica for any query, a
 * proxy for one over HTTP. Nothing else may fail. Refusals (503, 504) are answers: nothing was started, or its time was over.
 */

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
  readonly name: string;
  readonly at: number;
  /** Queries that were under way at that moment: as many may fail. */
  readonly inFlight: number;
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
  /** Failures and resets that no kill explains. */
  readonly unexplained: readonly Query[];
  /** So many could have been in flight on what was killed. */
  readonly mayFail: number;
  /** Ids that ran twice and may not. */
  readonly twice: readonly string[];
}

/** From the signal until the kernel has closed the process's sockets: what is sent to it meanwhile dies with it. */
const DYING_MS = 500;

export interface Evidence {
  readonly queries: readonly Query[];
  readonly kills: readonly Kill[];
  /** Every id that a handler noted, as often as it did. */
  readonly noted: readonly string[];
  readonly deadlineMs: number;
}

export const accountOf = ({ queries, kills, noted, deadlineMs }: Evidence): Account => {
  const count = (kind: End["kind"]) => queries.filter((query) => query.end?.kind === kind).length;
  const broken = queries.filter(({ end }) => end?.kind === "failed" || end?.kind === "reset" || end?.kind === "wrong");
  const repeated = repeatedIn(noted);
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
    unexplained: broken.filter((query) => query.end?.kind === "wrong" || !kills.some((kill) => explains(kill, query))),
    mayFail: kills.filter(breaks).reduce((sum, { inFlight }) => sum + inFlight, 0),
    twice,
  };
};

/** What must hold, as sentences about what does not. */
export const verdictOf = (account: Account): readonly string[] => {
  const broken = account.failed + account.reset;
  return [
    account.lost > 0 ? `${account.lost} queries got no answer at all` : "",
    account.ranTwice > 0 ? `${account.ranTwice} queries that may run once ran twice: ${some(account.twice)}` : "",
    account.unexplained.length > 0
      ? `${account.unexplained.length} failed though nothing that they were on was killed: ${some(account.unexplained.map(({ id, door, end }) => `${id} by ${door} (${end?.what})`))}`
      : "",
    broken > account.mayFail
      ? `${broken} failed or were reset, but only ${account.mayFail} could have been in flight on what was killed`
      : "",
  ].filter((sentence) => sentence !== "");
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

const explains = (kill: Kill, { door, sentAt, end }: Query): boolean => {
  if (!breaks(kill) || end === undefined) return false;
  if (kill.what === "proxy" && (door === "handle" || door === "stream")) return false;
  // A reset is the work of whoever held the connection.
  if (kill.what === "replica" && end.kind === "reset" && door !== "stream") return false;
  return sentAt < kill.at + DYING_MS && end.at > kill.at - DYING_MS;
};

const repeatedIn = (ids: readonly string[]): readonly string[] => {
  const seen = new Set<string>();
  const repeated = new Set<string>();
  for (const id of ids) {
    if (seen.has(id)) repeated.add(id);
    seen.add(id);
  }
  return [...repeated];
};

const some = (items: readonly string[]): string =>
  items.length <= 5 ? items.join(", ") : `${items.slice(0, 5).join(", ")} and ${items.length - 5} others`;
