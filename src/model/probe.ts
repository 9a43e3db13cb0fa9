/**
 * A probe: a process that loads a module, looks at what it exports, and ends. It runs no constructor and no handler, so of a class it
 * knows what the prototype shows, and no more.
 */
import type { Offers } from "./actor.ts";
import type { BackendConfig } from "./backend-config.ts";
import type { CodeRef, LoadedCode } from "./code-ref.ts";
import type { ErrorBody } from "./error-codes.ts";

/** How the process of a replica is set up; a probe's is the same. */
export type Runtime = Pick<BackendConfig, "nodeArgs" | "env" | "envFile" | "cwd">;

export interface ProbeOrder {
  /** File URL. */
  readonly module: string;
  /** What to look at in it; of the arguments only their number counts. */
  readonly targets: readonly CodeRef[];
  readonly runtime: Runtime;
  /** For the import and all else; then the process is killed. */
  readonly timeoutMs: number;
  /** Whether what was loaded is kept in the state folder, for replicas to run it. */
  readonly keep: "code" | "nothing";
}

export type ProbeAnswer =
  /** `targets`: in the order of the question. */
  | ({ readonly kind: "loaded"; readonly code: LoadedCode; readonly targets: readonly ProbedTarget[] } & FilesRead)
  | ({ readonly kind: "failed"; readonly error: ErrorBody } & FilesRead);

/** The user's files that were read, as far as somebody may want to watch them: not where code is kept. */
export interface FilesRead {
  readonly read?: readonly string[] | undefined;
}

export type ProbedTarget =
  | { readonly kind: "possible"; readonly offers: ProbedOffers }
  /** There is no such export, or nothing that can be served. */
  | { readonly kind: "impossible"; readonly error: ErrorBody };

/** `maybe`: a constructor would show. */
export type Certainty = "yes" | "no" | "maybe";

export interface ProbedOffers extends Omit<Offers, "batches"> {
  readonly batches: Certainty;
  readonly reconfigures: Certainty;
}

/** Code that was found before anything is saved of it. */
export interface ProbedCode {
  readonly code: LoadedCode;
  readonly offers: ProbedOffers;
}

/** What the process of a probe is told, as its one argument in JSON. It answers by lines of JSON on descriptor 3. */
export type ProbeWork =
  /** One line: ProbeAnswer. `keepIn`: the state folder. */
  | ({ readonly kind: "code"; readonly keepIn: string | undefined } & Pick<ProbeOrder, "module" | "targets">)
  /** What does this app file ask for? Two lines: AppPlanAnswer, then AppCodeAnswer; or AppCodeAnswer alone, with an error. */
  | { readonly kind: "app"; readonly path: string };

export interface AppPlanAnswer<Plan> {
  readonly plan: Plan;
}

/** What the app file itself is, and of each backend whose code it holds what that offers, by tag. */
export type AppCodeAnswer = FilesRead &
  (
    | { readonly code: LoadedCode; readonly targets: Readonly<Record<string, ProbedTarget>> }
    | { readonly error: ErrorBody }
  );

export const PROBE_ANSWER_FD = 3;
/** The line before the others: Node has started with what it was told, and what ends the process now is the code. */
export const PROBE_BEGUN = "";
/** Ends when whoever asked is gone. */
export const PROBE_HELD_FD = 4;
