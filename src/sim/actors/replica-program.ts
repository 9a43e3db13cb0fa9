/**
 * A replica's process in a simulated world. What its user's code does stands in the backend's configuration (`Behaviour` in userConfig;
 * env FAIL_START = share of starts that throw), so that a workload chooses it by ordinary calls.
 */
import type { ErrorBody } from "../../model/error-codes.ts";
import type { EndpointTag } from "../../model/ids.ts";
import type { ActorReport } from "../../model/link-messages.ts";
import { type ActorFile, runFiles } from "../../model/places.ts";
import type { SimProcess } from "../kernel/sim-process.ts";
import { SimLink } from "../node/sim-link.ts";
import type { SimNode } from "../node/sim-node.ts";
import type { World } from "../world.ts";
import { seatRouter } from "./router-seat.ts";

export interface Behaviour {
  readonly startMs?: number;
  readonly drainMs?: number;
  /** Its checkHealth() begins to fail so long after it is ready, and never recovers. */
  readonly illMs?: number;
  /** `reconfigure` throws. */
  readonly rejects?: boolean;
  /** Holds a handle of this endpoint. */
  readonly handle?: string;
}

/** Time for the agent to listen to why a start failed. */
const LAST_WORDS_MS = 100;
const RECONFIGURE_MS = 20;

export const runReplica = (world: World, node: SimNode, process: SimProcess, args: readonly string[]): void => {
  const file = node.disk.read<ActorFile>(args[0] ?? "");
  if (file?.assignment.spec.kind === "replica") new Replica(world, node, { process, file }).start();
  else process.end({ code: 1, signal: undefined });
};

class Replica {
  readonly #world: World;
  readonly #process: SimProcess;
  readonly #file: ActorFile;
  readonly #link: SimLink;
  #report: ActorReport;
  #behaviour: Behaviour;
  #newest: { readonly revision: number; readonly behaviour: Behaviour } | undefined;
  #isDraining = false;

  constructor(
    world: World,
    node: SimNode,
    { process, file }: { readonly process: SimProcess; readonly file: ActorFile },
  ) {
    const { assignment, incarnation, instanceId } = file;
    this.#world = world;
    this.#process = process;
    this.#file = file;
    this.#behaviour = behaviourOf(assignment.spec.kind === "replica" ? assignment.spec.config.userConfig : undefined);
    this.#report = {
      state: "starting",
      address: `unix:${runFiles(node.runDir).actorSocket(assignment.actor, incarnation)}`,
      configRevision: 0,
      error: undefined,
      offers: undefined,
      loadedDigest: undefined,
      health: "healthy",
    };
    this.#link = new SimLink({
      process,
      switchboard: node.switchboard,
      instanceId,
      role: "replica",
      actor: assignment.actor,
      incarnation,
      instanceOnDisk: () => node.instanceOnDisk(),
    });
  }

  start(): void {
    const { spec } = this.#file.assignment;
    const { clock } = this.#process;
    this.#process.onTerm = () => this.#drain();
    this.#link.start({
      onConfigure: (revision, config) => this.#configure(revision, behaviourOf(config.userConfig)),
      onIntent: () => this.#drain(),
      onRefused: () => this.#drain(),
      onLeader: () => poll?.leaderChanged(),
    });
    const { handle, startMs = 50 } = this.#behaviour;
    const poll = handle === undefined ? undefined : this.#openHandle(handle as EndpointTag);
    const failShare = spec.kind === "replica" ? Number(spec.config.env["FAIL_START"] ?? 0) : 0;
    const isOut = spec.kind === "replica" && this.#world.hasOutage(spec.backend);
    const fails = this.#world.random.chance(failShare) || isOut;
    clock.after(startMs, () => (fails ? this.#failStart() : this.#becomeReady()));
  }

  #openHandle(endpoint: EndpointTag) {
    const { router, poll } = seatRouter(this.#world, this.#process, { file: this.#file, link: this.#link });
    router.follow(endpoint);
    router.start();
    return poll;
  }

  #failStart(): void {
    const { actor } = this.#file.assignment;
    this.#tell({ error: { code: "start-failed", message: `${actor} threw at its start` } });
    this.#process.clock.after(LAST_WORDS_MS, () => this.#process.end({ code: 1, signal: undefined }));
  }

  #becomeReady(): void {
    if (this.#isDraining) return;
    const { spec, configRevision } = this.#file.assignment;
    const loadedDigest = spec.kind === "replica" ? spec.identity?.digest : undefined;
    this.#tell({ state: "ready", configRevision, loadedDigest });
    this.#process.onHealth = (health) => this.#becomes(health);
    const { illMs } = this.#behaviour;
    if (illMs !== undefined) this.#process.clock.after(illMs, () => this.#becomes("unhealthy"));
    this.#applyNewest();
  }

  #becomes(health: "healthy" | "unhealthy"): void {
    if (this.#isDraining) return;
    this.#tell({ health, healthReason: health === "healthy" ? undefined : "checkHealth() threw: simulated" });
  }

  #configure(revision: number, behaviour: Behaviour): void {
    this.#newest = { revision, behaviour };
    if (this.#report.state === "ready") this.#process.clock.after(RECONFIGURE_MS, () => this.#applyNewest());
  }

  #applyNewest(): void {
    const newest = this.#newest;
    if (newest === undefined || newest.revision <= this.#report.configRevision) return;
    if (newest.behaviour.rejects === true) {
      const error: ErrorBody = {
        code: "reconfigure-failed",
        message: "it does not like it",
        details: { configRevision: newest.revision },
      };
      this.#tell({ error });
      return;
    }
    this.#behaviour = newest.behaviour;
    this.#tell({ configRevision: newest.revision, error: undefined });
  }

  #drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#tell({ state: "draining" });
    this.#process.clock.after(this.#behaviour.drainMs ?? 100, () => this.#process.end({ code: 0, signal: undefined }));
  }

  #tell(change: Partial<ActorReport>): void {
    this.#report = { ...this.#report, ...change };
    this.#link.report(this.#report);
  }
}

const behaviourOf = (userConfig: unknown): Behaviour =>
  typeof userConfig === "object" && userConfig !== null ? (userConfig as Behaviour) : {};
