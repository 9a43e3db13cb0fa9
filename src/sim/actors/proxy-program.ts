/** A proxy's process in a simulated world: the real ProxyRole on an HTTP edge without clients. */
import type { ActorFile } from "../../model/places.ts";
import { stateFiles } from "../../model/places.ts";
import type { HttpEdge } from "../../ports/http-edge.ts";
import { ProxyRole } from "../../proxy/proxy.ts";
import { act } from "../kernel/act.ts";
import type { SimProcess } from "../kernel/sim-process.ts";
import { SimLink } from "../node/sim-link.ts";
import type { SimNode } from "../node/sim-node.ts";
import type { World } from "../world.ts";
import { seatRouter } from "./router-seat.ts";

const DRAIN_MS = 5_000;

export const runProxy = (world: World, node: SimNode, process: SimProcess, args: readonly string[]): void => {
  const file = node.disk.read<ActorFile>(args[0] ?? "");
  if (file === undefined) {
    process.end({ code: 1, signal: undefined });
    return;
  }
  const { assignment, incarnation, instanceId } = file;
  const link = new SimLink({
    process,
    switchboard: node.switchboard,
    instanceId,
    role: "proxy",
    actor: assignment.actor,
    incarnation,
    instanceOnDisk: () => node.instanceOnDisk(),
  });
  const { router, poll, meters } = seatRouter(world, process, { file, link });
  const snapshots = stateFiles(node.stateDir).snapshot;
  const by = { process, effects: world.effects };
  const random = world.random.fork(process.facts.name);
  const proxy = new ProxyRole(
    {
      clock: process.clock,
      log: world.logOf(process),
      random,
      link,
      meters,
      router,
      edge: emptyEdge(process, random.between(0, DRAIN_MS)),
      snapshots: {
        load: () => node.disk.read(snapshots),
        save: (value) => void act(by, "save of the snapshots", () => node.disk.write(snapshots, value, "durably")),
      },
    },
    {
      file,
      listenFd: 3,
      linkEvents: { onLeader: () => poll.leaderChanged() },
      exit: (code) => process.end({ code, signal: undefined }),
    },
  );
  process.onTerm = () => void proxy.drain(DRAIN_MS);
  void proxy.start();
};

const emptyEdge = ({ clock }: SimProcess, drainMs: number): HttpEdge => ({
  listen: async () => 8000,
  drain: () =>
    new Promise((resolve) => {
      clock.after(drainMs, resolve);
    }),
  stop: () => {},
  reasonOf: () => "",
  counts: () => ({ open: 0, accepted: 0, refused: 0 }),
});
