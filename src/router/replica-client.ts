/**
 * A router's side of one replica: which of its queries are there, and what may be sent. Keeps a lazy connection; hands every query back
 * to its owner that did not get an answer, saying whether it can have run.
 */

import type { Frame, ProtocolError } from "../core/wire/frames.ts";
import { isProtocolError, protocolError } from "../core/wire/frames.ts";
import { decodeCount, decodeFailure, decodeRefuse, decodeReplyHead } from "../core/wire/heads.ts";
import { StreamTable } from "../core/wire/stream-table.ts";
import { MAX_STREAM_ID, STREAM_WINDOW_BYTES } from "../model/limits.ts";
import type { ReplicaEntry } from "../model/longpoll.ts";
import { FLAG_END, FRAME, WIRE_PROTOCOL, type WireFailure } from "../model/wire.ts";
import type { Log } from "../ports/log.ts";
import { addCredit, sendGrown, sendQuery } from "./body-frames.ts";
import { deadlinePassed, headTooLarge, lossOf, noReplica, wireBroken } from "./failures.ts";
import { takeConsumed } from "./flow-window.ts";
import type { OpenQuery, QueryPlace } from "./open-query.ts";
import { judgeAnswer, judgeLeft } from "./outcomes.ts";
import type { Watched } from "./outlier-watch.ts";
import type { Candidate } from "./replica-choice.ts";
import { ReplicaHealth } from "./replica-health.ts";
import type { PoolMeters } from "./router-meters.ts";
import { SlotWindow } from "./slot-window.ts";
import { WireConnection, type WireEnd, type WireEvents, type WirePorts } from "./wire-connection.ts";

/** Why a query came back. Only `lost` can have run. */
export type Returned = { readonly kind: "busy" | "not-run" } | { readonly kind: "lost"; readonly failure: WireFailure };

export interface ReplicaOwner {
  returned(query: OpenQuery, why: Returned): void;
  /** It may be able to take another query. */
  freed(): void;
  /** It keeps a slot for one query of this router, for a moment. */
  slotOffered(client: ReplicaClient): void;
  /** A retired one has answered its last query. */
  finished(client: ReplicaClient): void;
  /** There are others to compare it with. */
  readonly isComparing: boolean;
  /** Its answers look bad: is it alone with that? */
  suspected(): void;
}

export interface ReplicaClientPorts extends WirePorts {
  readonly log: Log;
}

export interface WireIdentity {
  readonly instanceId: string;
  /** Who connects, for the replica's log. */
  readonly peer: string;
}

const NOT_RUN: Returned = { kind: "not-run" };
const BUSY: Returned = { kind: "busy" };

export class ReplicaClient implements Candidate, QueryPlace, WireEvents, Watched {
  readonly entry: ReplicaEntry;
  inFlight = 0;
  readonly #ports: ReplicaClientPorts;
  readonly #identity: WireIdentity;
  readonly #owner: ReplicaOwner;
  readonly #meters: PoolMeters;
  readonly health: ReplicaHealth;
  #connection: WireConnection | undefined;
  /** Sent and not answered. */
  readonly #streams = new StreamTable<OpenQuery>();
  /** Wait for HELLO. */
  readonly #unsent = new Set<OpenQuery>();
  readonly #slots: SlotWindow;
  /** This connection takes no new queries: it has said GOAWAY, or its stream ids are used up. */
  #isLeaving = false;
  #isRetired = false;

  constructor(
    ports: ReplicaClientPorts,
    who: {
      readonly entry: ReplicaEntry;
      readonly identity: WireIdentity;
      readonly limit: number;
      readonly meters: PoolMeters;
    },
    owner: ReplicaOwner,
  ) {
    this.#ports = ports;
    this.entry = who.entry;
    this.#identity = who.identity;
    this.#owner = owner;
    this.#slots = new SlotWindow(who.limit);
    this.#meters = who.meters;
    this.health = new ReplicaHealth(ports.clock, {
      onEject: (why) => who.meters.ejections[why].add(),
      onFit: () => owner.freed(),
      onSuspicion: () => owner.suspected(),
    });
  }

  get readiness(): Candidate["readiness"] {
    if (this.#isRetired || this.#isLeaving || !this.#slots.allows(this.inFlight)) return "unready";
    return this.health.readiness(this.inFlight);
  }

  get isConnected(): boolean {
    return this.#connection?.isReady === true;
  }

  get owesSlot(): boolean {
    return this.#slots.isOwed;
  }

  takeHeard(): boolean | undefined {
    return this.#connection?.isReady === true ? this.#connection.takeHeard() : undefined;
  }

  ping(): void {
    this.#connection?.writer.ping();
    this.#connection?.flushSoon();
  }

  setLimit(limit: number): void {
    this.#slots.setLimit(limit);
  }

  /** The caller has asked `readiness`, or was offered a slot. */
  start(query: OpenQuery): void {
    query.moveTo(this);
    this.inFlight += 1;
    if (this.#connection?.isReady === true && !this.#isLeaving) this.#send(query, this.#connection);
    else {
      this.#unsent.add(query);
      this.#connection ??= this.#connect();
    }
  }

  /** Takes no more queries; those that it has are finished. */
  retire(): void {
    this.#isRetired = true;
    this.#closeWhenIdle();
  }

  /** Cuts everything off. What is open is not handed back: the owner has ended it. */
  stop(): void {
    this.#isRetired = true;
    this.health.stop();
    this.#connection?.close();
    this.#reset();
  }

  // ── as the place of a query

  abandon(query: OpenQuery, why: "cancelled" | "deadline"): void {
    const connection = this.#connection;
    if (this.#unsent.delete(query)) this.#left(query);
    else if (this.#streams.get(query.streamId) === query && connection !== undefined) {
      connection.writer.cancel(query.streamId);
      connection.flushSoon();
      judgeLeft(this.health, query, { why, now: this.#ports.clock.now() });
      this.#streams.delete(query.streamId);
      this.#left(query);
    }
    this.#afterStream();
  }

  deadlineFailure(query: OpenQuery): WireFailure {
    if (query.streamId === 0) return noReplica(query.endpoint, query.allowedMs, backendOf(this.entry.replica));
    return deadlinePassed(query.endpoint, query.allowedMs, this.entry.replica);
  }

  consumed(query: OpenQuery, bytes: number): void {
    const credit = takeConsumed(query, bytes);
    if (credit === 0 || this.#connection === undefined) return;
    this.#connection.writer.credit(query.streamId, credit);
    this.#connection.flushSoon();
  }

  bodyGrew(query: OpenQuery): void {
    const connection = this.#connection;
    if (connection !== undefined && this.#streams.get(query.streamId) === query) sendGrown(query, connection);
  }

  // ── as the owner of a connection

  isIdle(): boolean {
    return this.inFlight === 0;
  }

  onReady(): void {
    const waiting = [...this.#unsent];
    this.#unsent.clear();
    for (const query of waiting) this.#send(query, this.#connection!);
  }

  onFrame(frame: Frame): ProtocolError | undefined {
    switch (frame.type) {
      case FRAME.SLOT:
        this.#slot();
        return undefined;
      case FRAME.GOAWAY:
        return this.#goAway(frame);
      case FRAME.REPLY:
      case FRAME.DATA:
      case FRAME.FAIL:
      case FRAME.REFUSE:
      case FRAME.CREDIT: {
        const query = this.#streams.get(frame.streamId);
        if (query !== undefined) return this.#onStream(query, frame);
        // Answers to what was cancelled meanwhile are on their way; a stream that never was is not.
        return frame.streamId <= (this.#connection?.lastStreamId ?? 0)
          ? undefined
          : protocolError(`a frame of stream ${frame.streamId}, which was never opened`);
      }
      default:
        return protocolError(`a frame of type ${frame.type}, which only routers send`);
    }
  }

  onEnd(end: WireEnd): void {
    const sent = this.#streams.entries();
    const carried = this.#connection?.carriedStreamId ?? 0;
    const unsent = [...this.#unsent];
    // A replica that ends an idle connection has failed nobody; one that said it would go is not there any more.
    const isFailure = end.kind !== "idle" && (end.kind !== "gone" || this.inFlight > 0 || this.#isLeaving);
    this.#reset();
    if (isFailure) {
      this.#ports.log.warn("replica-connection-lost", { replica: this.entry.replica, ...end });
      this.health.unreachable();
    }
    for (const [streamId, query] of sent) {
      const failure = lossOf(query, this.entry.replica, end);
      this.#owner.returned(query, streamId > carried && query.canReplay ? NOT_RUN : { kind: "lost", failure });
    }
    for (const query of unsent) this.#owner.returned(query, NOT_RUN);
    if (this.#isRetired) this.#owner.finished(this);
    else this.#owner.freed();
  }

  // ── streams

  #connect(): WireConnection {
    const { entry } = this;
    const { instanceId, peer } = this.#identity;
    return new WireConnection(this.#ports, entry.address, {
      hello: { protocol: WIRE_PROTOCOL, instanceId, replica: entry.replica, incarnation: entry.incarnation, peer },
      events: this,
    });
  }

  #send(query: OpenQuery, connection: WireConnection): void {
    const streamId = connection.lastStreamId + 1;
    query.timeoutMs = Math.max(0, query.deadline - this.#ports.clock.now());
    query.streamId = streamId;
    query.window = STREAM_WINDOW_BYTES;
    query.unreported = 0;
    const isWritten = sendQuery(query, connection);
    connection.flushSoon();
    if (!isWritten) {
      this.#left(query);
      query.failSoon(headTooLarge(query.endpoint));
      return;
    }
    this.#streams.set(streamId, query);
    connection.lastStreamId = streamId;
    if (streamId >= MAX_STREAM_ID) this.#isLeaving = true;
  }

  #onStream(query: OpenQuery, frame: Frame): ProtocolError | undefined {
    const part = (frame.flags & FLAG_END) === 0 ? "more" : "end";
    switch (frame.type) {
      case FRAME.REPLY: {
        const head = decodeReplyHead(frame.head);
        if (isProtocolError(head)) return head;
        if (query.hasReply) return protocolError("a second REPLY to one query");
        this.#judge(query, head.kind === "http" ? head.status : 200);
        if (part === "end") this.#answered(query);
        query.reply(head, frame.body, part);
        break;
      }
      case FRAME.DATA:
        if (!query.hasReply) return protocolError("DATA before REPLY");
        if (part === "end") this.#answered(query);
        query.data(frame.body, part, frame.memory);
        break;
      case FRAME.FAIL: {
        const failure = decodeFailure(frame.head);
        if (isProtocolError(failure)) return failure;
        this.#judge(query, failure.status);
        this.#answered(query);
        query.fail(failure);
        break;
      }
      case FRAME.CREDIT: {
        const credit = decodeCount(frame.head);
        if (isProtocolError(credit)) return credit;
        if (this.#connection !== undefined) addCredit(query, credit.count, this.#connection);
        return undefined;
      }
      default:
        return this.#refused(query, frame);
    }
    if (part === "end" || frame.type === FRAME.FAIL) this.#afterStream();
    return undefined;
  }

  #refused(query: OpenQuery, frame: Frame): ProtocolError | undefined {
    const refusal = decodeRefuse(frame.head);
    if (isProtocolError(refusal)) return refusal;
    if (query.hasReply) return protocolError("REFUSE after REPLY");
    if (!query.canReplay) return protocolError("REFUSE after CREDIT");
    this.#streams.delete(query.streamId);
    this.#left(query);
    if (refusal.reason === "busy") {
      this.#meters.refusals.busy.add();
      this.#slots.refused(this.inFlight);
      this.#owner.returned(query, BUSY);
      return undefined;
    }
    this.#meters.refusals.draining.add();
    this.#leave();
    this.#owner.returned(query, NOT_RUN);
    this.#closeWhenIdle();
    return undefined;
  }

  #slot(): void {
    this.#slots.offered();
    if (!this.#isRetired && !this.#isLeaving) this.#owner.slotOffered(this);
  }

  #goAway(frame: Frame): ProtocolError | undefined {
    const last = decodeCount(frame.head);
    if (isProtocolError(last)) return last;
    this.#leave();
    const above = this.#streams.entries().filter(([streamId]) => streamId > last.count);
    for (const [streamId, query] of above) {
      this.#streams.delete(streamId);
      this.#left(query);
    }
    for (const [, query] of above) this.#owner.returned(query, query.canReplay ? NOT_RUN : this.#brokenOff(query));
    this.#closeWhenIdle();
    return undefined;
  }

  /** It has used some of the body, and says that it never had the query. */
  #brokenOff(query: OpenQuery): Returned {
    return { kind: "lost", failure: wireBroken(query.endpoint, this.entry.replica, "GOAWAY after CREDIT") };
  }

  /** Nothing new is sent there; the pause keeps us away when the list still names it after the connection has ended. */
  #leave(): void {
    this.#isLeaving = true;
    this.health.leaving();
  }

  /** A complete answer or failure came; the sender hears of it next. */
  #answered(query: OpenQuery): void {
    this.#streams.delete(query.streamId);
    this.#left(query);
    this.health.reached();
    this.#slots.answered();
  }

  #judge(query: OpenQuery, status: number): void {
    if (this.#owner.isComparing) judgeAnswer(this.health, query, { status, now: this.#ports.clock.now() });
  }

  #afterStream(): void {
    this.#owner.freed();
    this.#closeWhenIdle();
  }

  #left(query: OpenQuery): void {
    this.inFlight -= 1;
    query.streamId = 0;
    if (query.place === this) query.place = undefined;
  }

  #closeWhenIdle(): void {
    if (this.inFlight > 0 || !(this.#isRetired || this.#isLeaving)) return;
    this.#connection?.close();
    this.#reset();
    if (this.#isRetired) {
      this.health.stop();
      this.#owner.finished(this);
    } else this.#owner.freed();
  }

  /** As before the first connection. */
  #reset(): void {
    this.#connection = undefined;
    this.#streams.clear();
    this.#unsent.clear();
    this.inFlight = 0;
    this.#slots.reset();
    this.#isLeaving = false;
  }
}

/** `iris:v1#7` is a replica of `iris:v1`. */
const backendOf = (replica: string): string => replica.slice(0, replica.lastIndexOf("#"));
