/**
 * Compares the replicas of one backend. Out of place is one whose outcomes (failures, deadlines that pass, answers far slower than those of
 * its siblings) are bad in a share that is far above theirs: what is wrong with all of them is not theirs, and nobody is ejected for it.
 * Whoever was ejected before the others turned out to be as bad is taken back. At most half of them are ejected at a time. A replica that has queries and says nothing is pinged; when its process does not answer
 * either, it is silent. One replica alone is not watched: there is nobody to compare it with, and nobody else to send to.
 */
import {
  ALL_BAD_SHARE,
  EJECT_MARGIN,
  EJECT_MAX_SHARE,
  HEALTH_TICK_MS,
  MIN_OUTCOMES,
  MIN_TIMED,
  SILENT_TICKS,
  SLOW_FACTOR,
  SLOW_MIN_MS,
} from "../model/limits.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { ReplicaHealth } from "./replica-health.ts";

export interface Watched {
  readonly health: ReplicaHealth;
  readonly inFlight: number;
  /** Whether anything came since the last time; undefined: there is no connection to listen to. */
  takeHeard(): boolean | undefined;
  ping(): void;
}

export class OutlierWatch {
  readonly #clock: Clock;
  #replicas: readonly Watched[] = [];
  /** Ticks in a row in which nothing came although it has queries. */
  readonly #quietTicks = new Map<Watched, number>();
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isOn(): boolean {
    return this.#replicas.length > 1;
  }

  update(replicas: readonly Watched[]): void {
    this.#replicas = replicas;
    for (const known of this.#quietTicks.keys()) if (!replicas.includes(known)) this.#quietTicks.delete(known);
    this.#look();
  }

  /** A query is on its way to one of them. */
  wake(): void {
    if (this.#timer === undefined && this.isOn) this.#arm();
  }

  /** Takes back who is not out of place after all, and ejects who is. */
  judge(): void {
    const { length } = this.#replicas;
    const healths = this.#replicas.map(({ health }) => health);
    takeBack(healths);
    let room = Math.floor(length * EJECT_MAX_SHARE) - healths.filter(isLeftAlone).length;
    const fit = healths.filter(isCompared);
    const suspects = fit.filter(({ seen }) => seen >= MIN_OUTCOMES).sort((a, b) => b.badShare - a.badShare);
    for (const suspect of suspects) {
      const others = fit.filter((health) => health !== suspect && health.state === "fit");
      if (room <= 0 || others.length === 0) return;
      if (suspect.badShare - meanBadShare(others) < EJECT_MARGIN) return;
      suspect.eject();
      room -= 1;
    }
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#replicas = [];
  }

  #arm(): void {
    this.#timer = this.#clock.after(HEALTH_TICK_MS, () => {
      this.#timer = undefined;
      this.#listen();
      this.#look();
      if (this.isOn && this.#replicas.some(({ inFlight, health }) => inFlight > 0 || health.isSilent)) this.#arm();
    });
  }

  #look(): void {
    if (!this.isOn) return;
    for (const { health } of this.#replicas) health.slowBeyondMs = this.#slowBeyond(health);
    this.judge();
  }

  /** In comparison with the others alone: of two the slow one would pull a common measure to itself. */
  #slowBeyond(health: ReplicaHealth): number {
    const typical: number[] = [];
    for (const { health: other } of this.#replicas) {
      if (other !== health && other.timed >= MIN_TIMED && other.typicalMs !== undefined) typical.push(other.typicalMs);
    }
    if (typical.length === 0) return Number.POSITIVE_INFINITY;
    typical.sort((a, b) => a - b);
    return Math.max(SLOW_MIN_MS, SLOW_FACTOR * typical[Math.floor((typical.length - 1) / 2)]!);
  }

  #listen(): void {
    for (const replica of this.#replicas) {
      const heard = replica.takeHeard();
      if (heard !== false || (replica.inFlight === 0 && !replica.health.isSilent)) {
        this.#quietTicks.delete(replica);
        if (heard === true) replica.health.heard();
        continue;
      }
      const quiet = (this.#quietTicks.get(replica) ?? 0) + 1;
      this.#quietTicks.set(replica, quiet);
      if (quiet > SILENT_TICKS) replica.health.silent();
      replica.ping();
    }
  }
}

const isLeftAlone = ({ state }: ReplicaHealth): boolean => state === "ejected" || state === "probing";

const isCompared = ({ state, isSilent }: ReplicaHealth): boolean => state === "fit" && !isSilent;

const meanBadShare = (healths: readonly ReplicaHealth[]): number =>
  healths.reduce((sum, { badShare }) => sum + badShare, 0) / healths.length;

/** The first outcomes may all be those of one replica: by the time that the others have theirs, all may be bad alike. */
const takeBack = (healths: readonly ReplicaHealth[]): void => {
  const fit = healths.filter(isCompared);
  if (fit.length === 0) return;
  const theirs = meanBadShare(fit);
  if (theirs < ALL_BAD_SHARE) return;
  for (const health of healths) if (isLeftAlone(health)) health.takeBack(theirs);
};
