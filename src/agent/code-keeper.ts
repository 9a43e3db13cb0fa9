/**
 * Removes kept code that nothing needs any more. Needed is what a backend or an assignment in the store names, what an actor of this node
 * was started with, and what a probe has found a short while ago: a call that is just being saved may name it. Deletion can wait; so it is
 * done rarely, nothing is deleted in the first minutes of an agent's life, and nothing when the store cannot be asked.
 */
import { messageOf } from "../base/serve-error.ts";
import { keptCodeName } from "../core/code-digest.ts";
import { CODE_GRACE_MS, CODE_SWEEP_INTERVAL_MS } from "../model/code-limits.ts";
import type { CodeIdentity, LoadedCode } from "../model/code-ref.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { KeptCodeFiles } from "../ports/kept-code.ts";
import type { Log } from "../ports/log.ts";

export interface CodeKeeperParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly files: KeptCodeFiles;
  /** Identities that actors of this node were started with. */
  readonly ofActors: () => readonly (CodeIdentity | undefined)[];
  /** Identities that the store names; undefined: it cannot be asked. */
  readonly ofStore: () => Promise<readonly (CodeIdentity | undefined)[] | undefined>;
}

export class CodeKeeper {
  readonly #parts: CodeKeeperParts;
  readonly #startedAt: number;
  /** When a probe last found the code of this name. */
  readonly #found = new Map<string, number>();
  #timer: Timer | undefined;

  constructor(parts: CodeKeeperParts) {
    this.#parts = parts;
    this.#startedAt = parts.clock.now();
  }

  start(): void {
    this.#timer = this.#parts.clock.after(CODE_SWEEP_INTERVAL_MS, () => {
      this.start();
      this.#sweep().catch((error: unknown) => this.#parts.log.warn("kept-code-not-swept", { error: messageOf(error) }));
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** A call may name it soon. */
  found(code: LoadedCode): void {
    this.#found.set(keptCodeName(code), this.#parts.clock.now());
  }

  async #sweep(): Promise<void> {
    const { files, ofActors, ofStore, log } = this.#parts;
    const candidates = files.names().filter((name) => !this.#isFresh(name));
    const local = namesOf(ofActors());
    if (candidates.every((name) => local.has(name))) return;
    const inStore = await ofStore();
    if (inStore === undefined) return;
    const needed = new Set([...namesOf(inStore), ...namesOf(ofActors())]);
    for (const name of candidates) {
      // It may have been found again while the store was asked.
      if (needed.has(name) || this.#isFresh(name)) continue;
      files.remove(name);
      log.info("kept-code-removed", { name });
    }
  }

  #isFresh(name: string): boolean {
    const now = this.#parts.clock.now();
    for (const [found, at] of this.#found) if (now - at >= CODE_GRACE_MS) this.#found.delete(found);
    return now - this.#startedAt < CODE_GRACE_MS || this.#found.has(name);
  }
}

const namesOf = (identities: readonly (CodeIdentity | undefined)[]): ReadonlySet<string> =>
  new Set(identities.flatMap((it) => (it?.from === "kept" ? [keptCodeName(it)] : [])));
