/**
 * The metrics of a node: asks every process that dials in what it has counted, adds it up, and writes the text of a scrape. Who does not
 * answer in time is not waited for: its counts are those it last told, its gauges are left out, and the text says that it was silent.
 * The sums outlive the processes, and by a file in the run folder this agent.
 */

import { isServeError } from "../base/serve-error.ts";
import { expositionOf } from "../core/metrics/exposition.ts";
import { Meters } from "../core/metrics/meters.ts";
import { lifeKeyOf, Totals } from "../core/metrics/totals.ts";
import { METRICS_LOST_MS, METRICS_WAIT_MS } from "../model/limits.ts";
import type { LifeKey, MetricsSnapshot, Samples } from "../model/metrics.ts";
import type { Clock, Instant } from "../ports/clock.ts";
import type { InstanceFolders } from "../ports/instance-folders.ts";
import type { ServerLink } from "../ports/link-server.ts";
import type { Log } from "../ports/log.ts";

export type ProcessKind = "agent" | "controller" | "proxy" | "replica" | "program";

/** A process of this node that lives, whether it has dialled in or not. */
export interface LivingProcess {
  readonly name: string;
  readonly kind: ProcessKind;
  /** undefined: not counted. */
  readonly incarnation: number | undefined;
}

export interface MetricsDeskParts {
  readonly clock: Clock;
  readonly folders: InstanceFolders;
  readonly log: Log;
  /** What the agent itself has counted. */
  readonly own: () => MetricsSnapshot;
  readonly ownName: string;
  /** All but the agent and programs. */
  readonly processes: () => readonly LivingProcess[];
  readonly info: { readonly instance: string; readonly node: string; readonly version: string };
}

interface Peer {
  readonly name: string;
  readonly kind: ProcessKind;
  isAsked: boolean;
  life: LifeKey | undefined;
  snapshot: MetricsSnapshot | undefined;
}

const NOBODY: ReadonlySet<LifeKey> = new Set();

export class MetricsDesk {
  readonly #parts: MetricsDeskParts;
  readonly #peers = new Map<ServerLink, Peer>();
  #totals: Totals | undefined;
  /** Since when a life has had no link. */
  readonly #lostSince = new Map<LifeKey, Instant>();
  #collecting: Promise<string> | undefined;
  /** Those that are waited for now. */
  #round: { readonly silent: Set<Peer>; readonly end: () => void } | undefined;

  constructor(parts: MetricsDeskParts) {
    this.#parts = parts;
  }

  /** A process that says what it has counted when it is asked. */
  linked(link: ServerLink, name: string, kind: ProcessKind): void {
    this.#peers.set(link, { name, kind, isAsked: false, life: undefined, snapshot: undefined });
    // So that lives do not pile up while nobody asks.
    this.#endLost(this.#known(), NOBODY);
  }

  unlinked(link: ServerLink): void {
    const peer = this.#peers.get(link);
    this.#peers.delete(link);
    if (peer !== undefined) this.#heard(peer);
  }

  told(link: ServerLink, snapshot: MetricsSnapshot): void {
    const peer = this.#peers.get(link);
    if (peer === undefined) return;
    peer.isAsked = false;
    peer.snapshot = snapshot;
    peer.life = lifeKeyOf(peer.name, snapshot);
    this.#known().update(peer.life, snapshot.samples);
    this.#heard(peer);
  }

  /** The text of a scrape. Scrapers that ask at the same time get the same. */
  scrape(): Promise<string> {
    this.#collecting ??= this.#collect().finally(() => {
      this.#collecting = undefined;
    });
    return this.#collecting;
  }

  async #collect(): Promise<string> {
    const silent = await this.#ask();
    const totals = this.#known();
    const own = this.#parts.own();
    const ownLife = lifeKeyOf(this.#parts.ownName, own);
    totals.update(ownLife, own.samples);
    const speaking = [...this.#peers.values()].filter((peer) => !silent.has(peer) && peer.life !== undefined);
    const lives = new Set([ownLife, ...speaking.flatMap(({ life }) => life ?? [])]);
    this.#endLost(totals, lives);
    this.#save(totals);
    return expositionOf({ ...totals.sum(lives), ...this.#processSamples(speaking, own) });
  }

  /** Answers those who have not spoken when the time is over. */
  async #ask(): Promise<ReadonlySet<Peer>> {
    const silent = new Set(this.#peers.values());
    for (const [link, peer] of this.#peers) {
      // A question that has not been answered is enough: the process will come to it.
      if (!peer.isAsked) link.send({ kind: "collect" });
      peer.isAsked = true;
    }
    if (silent.size === 0) return silent;
    await new Promise<void>((resolve) => {
      const timer = this.#parts.clock.after(METRICS_WAIT_MS, resolve);
      this.#round = {
        silent,
        end: () => {
          timer.cancel();
          resolve();
        },
      };
    });
    this.#round = undefined;
    return silent;
  }

  #heard(peer: Peer): void {
    const round = this.#round;
    if (round === undefined || !round.silent.delete(peer)) return;
    if (round.silent.size === 0) round.end();
  }

  /** A life is over when it has had no link for a while and its process is gone, or another one of its name speaks. */
  #endLost(totals: Totals, speaking: ReadonlySet<LifeKey>): void {
    const now = this.#parts.clock.now();
    const linked = new Set(Array.from(this.#peers.values(), ({ life }) => life));
    const living = new Set(this.#parts.processes().map(({ name }) => name));
    const nameOf = (life: LifeKey) => life.slice(0, life.lastIndexOf(" "));
    const spokenFor = new Set(Array.from([...speaking, ...linked], (life) => life && nameOf(life)));
    for (const life of totals.lives()) {
      if (linked.has(life) || speaking.has(life)) {
        this.#lostSince.delete(life);
        continue;
      }
      const since = this.#lostSince.get(life) ?? now;
      this.#lostSince.set(life, since);
      const name = nameOf(life);
      if (now - since < METRICS_LOST_MS || (living.has(name) && !spokenFor.has(name))) continue;
      totals.end(life);
      this.#lostSince.delete(life);
    }
  }

  #processSamples(speaking: readonly Peer[], own: MetricsSnapshot): Samples {
    const { ownName, processes, info } = this.#parts;
    const meters = new Meters();
    const peers = [...this.#peers.values()];
    const programs = new Set(peers.filter(({ kind }) => kind === "program").map(({ name }) => name));
    const snapshots = new Map(speaking.map(({ name, snapshot }) => [name, snapshot]));
    const all: readonly LivingProcess[] = [
      ...processes(),
      ...Array.from(programs, (name) => ({ name, kind: "program", incarnation: undefined }) as const),
    ];
    meters.gauges((write) => {
      const one = (process: LivingProcess, snapshot: MetricsSnapshot | undefined) => {
        const labels = { process: process.name, kind: process.kind };
        write("maitred_process_up", labels, snapshot === undefined ? 0 : 1);
        const { incarnation } = process;
        if (incarnation !== undefined) write("maitred_process_restarts", labels, Math.max(0, incarnation - 1));
        if (snapshot === undefined) return;
        const { startedAt, usage } = snapshot;
        write("maitred_process_start_time_seconds", labels, startedAt / 1_000);
        write("maitred_process_resident_memory_bytes", labels, usage.residentBytes);
        write("maitred_process_heap_bytes", labels, usage.heapBytes);
        meters.counter("maitred_process_cpu_seconds_total", labels).add(usage.cpuMs / 1_000);
        meters.counter("maitred_process_loop_busy_seconds_total", labels).add(usage.loopBusyMs / 1_000);
      };
      for (const process of all) one(process, snapshots.get(process.name));
      one({ name: ownName, kind: "agent", incarnation: undefined }, own);
      write("maitred_info", info, 1);
    });
    return meters.samples();
  }

  #known(): Totals {
    this.#totals ??= new Totals(this.#parts.folders.savedMetrics());
    return this.#totals;
  }

  #save(totals: Totals): void {
    try {
      this.#parts.folders.saveMetrics(totals.saved());
    } catch (error) {
      if (!isServeError(error)) throw error;
      // Only a next agent would have read it.
      this.#parts.log.warn("metrics-not-saved", { error: error.message });
    }
  }
}
