/**
 * The controller's side of the long poll, for one controller life. Routers register what they follow, then ask with the newest
 * snapshot that they have applied; all newer changes of what they follow come in one answer, or the poll waits. The question is the
 * acknowledgement: `appliedBy`, `behind` and `unsettled` answer from it.
 *
 * Promises: snapshot ids only rise; an answer names every endpoint that changed since the asked snapshot, whole; a client of an older
 * life, one that just registered, and one too far behind get everything they follow; nothing is left of a poll that has ended.
 */
import { ServeError } from "../base/serve-error.ts";
import type { Laggard, Routers } from "../core/soft-state.ts";
import type { BackendTag, EndpointTag } from "../model/ids.ts";
import { MAX_POLL_CLIENTS, POLL_CLIENT_GONE_MS, POLL_CLIENT_SILENT_MS, POLL_TIMEOUT_MS } from "../model/limits.ts";
import type { EndpointClosure, PollAnswer, PollRequest } from "../model/longpoll.ts";
import type { Clock, Instant } from "../ports/clock.ts";
import { type Follower, Followers } from "./followers.ts";
import { type EndpointChange, Snapshots } from "./snapshots.ts";

export interface LongPollHostOptions {
  readonly clock: Clock;
  readonly epoch: number;
  /** A client has applied snapshots above `after` up to `upTo`, or has left (then all of them). */
  readonly onApplied: (range: { readonly after: number; readonly upTo: number }) => void;
  /** What runs or waits for these backends is another number of queries than before. */
  readonly onLoads: (backends: readonly BackendTag[]) => void;
}

export class LongPollHost implements Routers {
  readonly #clock: Clock;
  readonly #epoch: number;
  readonly #onApplied: LongPollHostOptions["onApplied"];
  readonly #onLoads: LongPollHostOptions["onLoads"];
  readonly #snapshots = new Snapshots();
  readonly #followers = new Followers();
  /** Endpoints that exist but have not been published in this life: nobody is told "this is all" before they are. */
  readonly #held = new Set<EndpointTag>();
  #completeSince: Instant;
  #isClosed = false;

  constructor(options: LongPollHostOptions) {
    this.#clock = options.clock;
    this.#epoch = options.epoch;
    this.#completeSince = options.clock.now();
    this.#onApplied = options.onApplied;
    this.#onLoads = options.onLoads;
  }

  /** Newest snapshot of this life. */
  get counter(): number {
    return this.#snapshots.counter;
  }

  get followers(): number {
    return this.#followers.size;
  }

  /** Before the first poll of a life: endpoints that its store knows and that will be published in a moment. */
  hold(tags: Iterable<EndpointTag>): void {
    for (const tag of tags) this.#held.add(tag);
  }

  /** A held endpoint will not come. */
  release(tag: EndpointTag): void {
    if (this.#unhold(tag)) for (const follower of this.#followers.of(tag)) this.#answerIfNews(follower);
  }

  completeSince(): Instant | undefined {
    return this.#held.size === 0 ? this.#completeSince : undefined;
  }

  #unhold(tag: EndpointTag): boolean {
    if (!this.#held.delete(tag)) return false;
    if (this.#held.size === 0) this.#completeSince = this.#clock.now();
    return true;
  }

  /** Publishes the changes as one snapshot; answers its counter. */
  publish(changes: readonly EndpointChange[]): number {
    if (changes.length === 0) return this.#snapshots.counter;
    const counter = this.#snapshots.change(changes);
    const concerned = new Set<Follower>();
    for (const { tag } of changes) {
      this.#unhold(tag);
      for (const follower of this.#followers.of(tag)) concerned.add(follower);
    }
    for (const follower of concerned) {
      this.#followers.setUnapplied(follower, { first: follower.unapplied?.first ?? counter, newest: counter });
    }
    for (const follower of concerned) this.#answerIfNews(follower);
    return counter;
  }

  async poll(request: PollRequest, signal: AbortSignal): Promise<PollAnswer> {
    if (this.#isClosed) throw notLeading();
    const known = this.#followers.get(request.client);
    if (known === undefined && request.subscribe === undefined) return { kind: "register", epoch: this.#epoch };
    const follower = known ?? this.#register(request);
    if (known !== undefined && request.subscribe !== undefined) this.#resubscribe(known, request.subscribe);
    follower.leaving?.cancel();
    follower.leaving = undefined;
    // Another poll of the same client: the older one lost its connection.
    follower.answer?.({ kind: "idle", epoch: this.#epoch });
    this.#setLoads(follower, request.loads ?? {});
    this.#acknowledge(follower, request);
    const news = this.#newsFor(follower);
    if (news === undefined) return this.#wait(follower, { waitMs: request.waitMs ?? POLL_TIMEOUT_MS, signal });
    this.#leaveAfter(follower, POLL_CLIENT_SILENT_MS);
    return news;
  }

  appliedBy(name: string): number | undefined {
    return this.#followers.named(name)?.applied;
  }

  behind(endpoint: EndpointTag, counter: number): readonly Laggard[] {
    const laggards: Laggard[] = [];
    for (const follower of this.#followers.of(endpoint)) {
      if ((follower.applied ?? -1) < counter) laggards.push(asLaggard(follower));
    }
    return laggards;
  }

  unsettled(counter: number): readonly Laggard[] {
    const laggards: Laggard[] = [];
    for (const follower of this.#followers.unsettled()) {
      if ((follower.unapplied?.first ?? Infinity) <= counter) laggards.push(asLaggard(follower));
    }
    return laggards;
  }

  load(backend: BackendTag): number {
    return this.#followers.load(backend);
  }

  /** This life is over: polls fail, so that clients look for the next one. */
  close(): void {
    this.#isClosed = true;
    for (const follower of [...this.#followers.all()]) {
      follower.leaving?.cancel();
      this.#followers.remove(follower);
      follower.answer?.({ kind: "idle", epoch: this.#epoch });
    }
  }

  #setLoads(follower: Follower, loads: Follower["loads"]): void {
    const changed = this.#followers.setLoads(follower, loads);
    if (changed.length > 0) this.#onLoads(changed);
  }

  #register(request: PollRequest): Follower {
    if (this.#followers.size >= MAX_POLL_CLIENTS) {
      throw new ServeError(
        "controller-unavailable",
        `${MAX_POLL_CLIENTS} clients poll this controller already; it takes no more. Share one handle per process.`,
        { retryable: true },
      );
    }
    // A proxy or replica that is started again is another process: the one before it is gone.
    const before = request.kind === "program" ? undefined : this.#followers.named(request.name);
    if (before !== undefined) this.#drop(before);
    const from = this.#snapshots.advance();
    const follower: Follower = {
      id: request.client,
      kind: request.kind,
      name: request.name,
      follows: followsOf(request.subscribe ?? []),
      applied: undefined,
      completeFrom: from,
      since: new Map(),
      // Whatever it holds is from an older life, or from before it was forgotten.
      unapplied: { first: 0, newest: from },
      loads: {},
      answer: undefined,
      leaving: undefined,
    };
    this.#followers.add(follower);
    return follower;
  }

  #resubscribe(follower: Follower, subscribe: "all" | readonly EndpointTag[]): void {
    const before = follower.follows;
    const follows = followsOf(subscribe);
    this.#followers.setFollows(follower, follows);
    if (before === "all") return;
    if (follows === "all") {
      follower.completeFrom = this.#snapshots.advance();
      return;
    }
    const added = [...follows].filter((tag) => !before.has(tag));
    const from = added.length === 0 ? 0 : this.#snapshots.advance();
    follower.since = new Map([...follower.since].filter(([tag]) => follows.has(tag)));
    for (const tag of added) follower.since.set(tag, from);
  }

  #acknowledge(follower: Follower, { applied }: PollRequest): void {
    if (applied.epoch !== this.#epoch || applied.counter > this.#snapshots.counter) return;
    // What it had applied before it registered here does not count: it was sent to what it was then.
    if (applied.counter < follower.completeFrom && follower.applied === undefined) return;
    const after = follower.applied ?? -1;
    if (applied.counter <= after) return;
    follower.applied = applied.counter;
    for (const [tag, from] of follower.since) if (from <= applied.counter) follower.since.delete(tag);
    const { unapplied } = follower;
    if (unapplied !== undefined) {
      const isSettled = unapplied.newest <= applied.counter;
      this.#followers.setUnapplied(
        follower,
        isSettled ? undefined : { first: applied.counter + 1, newest: unapplied.newest },
      );
    }
    this.#onApplied({ after, upTo: applied.counter });
  }

  #newsFor(follower: Follower): PollAnswer | undefined {
    const applied = follower.applied ?? -1;
    if (applied < follower.completeFrom || applied < this.#snapshots.forgotten) return this.#everythingFor(follower);
    const endpoints: EndpointClosure[] = [];
    const removed: EndpointTag[] = [];
    for (const tag of this.#changesFor(follower, applied)) {
      const closure = this.#snapshots.closure(tag);
      if (closure !== undefined) endpoints.push(closure);
      else removed.push(tag);
    }
    if (endpoints.length + removed.length === 0) return undefined;
    return { kind: "news", snapshot: this.#snapshotId(), complete: false, endpoints, removed };
  }

  #everythingFor(follower: Follower): PollAnswer | undefined {
    const { follows } = follower;
    const isHeld = follows === "all" ? this.#held.size > 0 : [...follows].some((tag) => this.#held.has(tag));
    if (isHeld) return undefined;
    const endpoints =
      follows === "all"
        ? this.#snapshots.closures()
        : [...follows].map((tag) => this.#snapshots.closure(tag)).filter((closure) => closure !== undefined);
    return { kind: "news", snapshot: this.#snapshotId(), complete: true, endpoints, removed: [] };
  }

  #changesFor(follower: Follower, applied: number): Iterable<EndpointTag> {
    if (follower.follows === "all") return this.#snapshots.changedAfter(applied);
    const isNew = (tag: EndpointTag) =>
      this.#snapshots.changedAt(tag) > applied ||
      (this.#snapshots.closure(tag) !== undefined && (follower.since.get(tag) ?? 0) > applied);
    return [...follower.follows].filter(isNew);
  }

  #snapshotId() {
    return { epoch: this.#epoch, counter: this.#snapshots.counter };
  }

  #answerIfNews(follower: Follower): void {
    if (follower.answer === undefined) return;
    const news = this.#newsFor(follower);
    if (news !== undefined) follower.answer(news);
  }

  #wait(follower: Follower, wait: { readonly waitMs: number; readonly signal: AbortSignal }): Promise<PollAnswer> {
    const { signal } = wait;
    const idle: PollAnswer = { kind: "idle", epoch: this.#epoch };
    return new Promise((resolve, reject) => {
      const finish = (answer: PollAnswer, silenceMs: number) => {
        timer.cancel();
        signal.removeEventListener("abort", abandon);
        follower.answer = undefined;
        if (this.#isClosed) return reject(notLeading());
        this.#leaveAfter(follower, silenceMs);
        resolve(answer);
      };
      const abandon = () => finish(idle, POLL_CLIENT_GONE_MS);
      const timer = this.#clock.after(Math.min(wait.waitMs, POLL_TIMEOUT_MS), () =>
        finish(idle, POLL_CLIENT_SILENT_MS),
      );
      follower.answer = (answer) => finish(answer, POLL_CLIENT_SILENT_MS);
      if (signal.aborted) abandon();
      else signal.addEventListener("abort", abandon, { once: true });
    });
  }

  #leaveAfter(follower: Follower, silenceMs: number): void {
    follower.leaving?.cancel();
    follower.leaving = this.#clock.after(silenceMs, () => this.#drop(follower));
  }

  #drop(follower: Follower): void {
    follower.leaving?.cancel();
    this.#setLoads(follower, {});
    this.#followers.remove(follower);
    follower.answer?.({ kind: "idle", epoch: this.#epoch });
    follower.leaving?.cancel();
    this.#onApplied({ after: -1, upTo: this.#snapshots.counter });
  }
}

const followsOf = (subscribe: "all" | readonly EndpointTag[]): Follower["follows"] =>
  subscribe === "all" ? "all" : new Set(subscribe);

const asLaggard = ({ name, kind }: Follower): Laggard => ({ name, kind });

const notLeading = (): ServeError =>
  new ServeError("not-leading", "this controller no longer leads; ask the agent who does, and poll there.", {
    retryable: true,
  });
