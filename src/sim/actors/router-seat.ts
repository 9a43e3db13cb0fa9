/** A router in a simulated process: the real Router with the real long-poll client. Wires to replicas are never opened. */
import { ServeError } from "../../base/serve-error.ts";
import { Meters } from "../../core/metrics/meters.ts";
import type { ActorFile } from "../../model/places.ts";
import type { Transport } from "../../ports/transport.ts";
import { Router } from "../../router/router.ts";
import type { SimProcess } from "../kernel/sim-process.ts";
import type { SimLink } from "../node/sim-link.ts";
import { createSimPoll, type SimPollTransport } from "../node/sim-poll.ts";
import type { World } from "../world.ts";

export interface RouterSeat {
  readonly process: SimProcess;
  /** Actor name. */
  readonly name: string;
  readonly kind: "proxy" | "replica";
  readonly router: Router;
  /** Epoch's controller process at which a poll of it waits. */
  waitsAt: SimProcess | undefined;
}

export interface SeatedRouter {
  readonly router: Router;
  readonly poll: SimPollTransport;
  readonly meters: Meters;
}

export const seatRouter = (
  world: World,
  process: SimProcess,
  { file, link }: { readonly file: ActorFile; readonly link: SimLink },
): SeatedRouter => {
  const { assignment, instanceId } = file;
  const kind = assignment.spec.kind;
  const poll = createSimPoll(world.network, process, {
    leader: () => link.leader(),
    hooks: {
      onPoll: (to) => {
        seat.waitsAt = to.process;
      },
      loads: (told) => Object.fromEntries(Object.keys(told).map((tag) => [tag, world.mishaps.loadOf(tag)])),
      onAnswer: (to, request, answer) => {
        if (seat.waitsAt === to.process) seat.waitsAt = undefined;
        if (answer !== undefined) world.emit("polled", { seat, to, request, answer });
      },
    },
  });
  const meters = new Meters();
  const router = new Router(
    {
      transport: NO_TRANSPORT,
      clock: process.clock,
      random: world.random.fork(process.facts.name),
      log: world.logOf(process),
      poll,
      meters,
    },
    { instanceId, peer: assignment.actor, kind, follow: kind === "proxy" ? "all" : "used" },
  );
  const seat: RouterSeat = { process, name: assignment.actor, kind, router, waitsAt: undefined };
  world.routers.add(seat);
  process.onDeath(() => world.routers.delete(seat));
  router.onEndpoints(() => world.emit("applied", { seat }));
  return { router, poll, meters };
};

const none = (): never => {
  throw new ServeError("internal", "a simulated router opens no wires");
};

const NO_TRANSPORT: Transport = { endOfTurn: none, connect: none, listen: none };
