/** The controller's process in a simulated world: what main/controller.ts does, without the REST server. */
import { Controller, LinkProbes } from "../../controller/controller.ts";
import { Meters } from "../../core/metrics/meters.ts";
import type { Address } from "../../model/actor.ts";
import type { InstanceId, InstanceName, NodeName } from "../../model/ids.ts";
import type { ControllerLaunch } from "../../model/launch.ts";
import { ERASED_LINGER_MS } from "../../model/limits.ts";
import { runFiles } from "../../model/places.ts";
import type { Log } from "../../ports/log.ts";
import type { SimProcess } from "../kernel/sim-process.ts";
import { SimLink } from "../node/sim-link.ts";
import type { SimNode } from "../node/sim-node.ts";
import type { World } from "../world.ts";

export const runController = (world: World, node: SimNode, process: SimProcess, args: readonly string[]): void => {
  const launch = JSON.parse(args[0] ?? "{}") as ControllerLaunch;
  const { instanceId, incarnation } = launch;
  const run = runFiles(node.runDir);
  const address: Address = `unix:${run.controllerSocket(incarnation)}`;
  const { clock } = process;
  const log = world.logOf(process);
  const store = world.storeFor(process);
  const link = new SimLink({
    process,
    switchboard: node.switchboard,
    instanceId,
    role: "controller",
    incarnation,
    instanceOnDisk: () => node.instanceOnDisk(),
  });
  const probe = new LinkProbes(clock, (id, order) => link.probe(id, order));
  const controller = new Controller(
    { store, clock, log, meters: new Meters(), probe, faults: { point: () => {} } },
    {
      instance: launch.instance as InstanceName,
      node: launch.node as NodeName,
      address,
      pid: process.facts.identity.pid,
      incarnation,
      begin: { instanceId: instanceId as InstanceId, http: launch.http, phase: launch.resume ? "resume" : "keep" },
      isFirstLife: launch.firstLife,
    },
    {
      onLead: (epoch) => {
        world.seat(address, { process, controller });
        // The REST server is loaded meanwhile.
        clock.after(world.weather.netDelayMs(), () => link.leading({ address, epoch }));
      },
      onStandstill: () => {}, // without REST there is nobody to tell
      onLost: (end) => {
        if (end === "erased") clock.after(ERASED_LINGER_MS, () => void stop());
      },
      onFailed: (error) => {
        node.disk.write(
          run.startFailure(process.facts.identity.pid),
          { code: error.code, message: error.message },
          "quickly",
        );
        process.end({ code: 1, signal: undefined });
      },
    },
  );
  const stop = async (): Promise<void> => {
    await controller.stop();
    process.end({ code: 0, signal: undefined });
  };
  process.onTerm = () => void stop();
  link.start({
    onUp: () => {
      probe.linkUp();
      link.committed();
    },
    onDown: () => probe.linkDown(),
    onProbed: (id, answer) => probe.answered(id, answer),
    onCommitted: () => store.nudge(),
    onRefused: () => void stop(),
  });
  controller.start();
};

/** A log that only the trace keeps. */
export const traceLog = (note: (line: string) => void): Log => {
  const line = (level: string) => (event: string, fields?: unknown) => note(`${level} ${event} ${briefly(fields)}`);
  const log: Log = {
    debug: () => {},
    info: line("info"),
    warn: line("warn"),
    error: line("error"),
    child: () => log,
  };
  return log;
};

const briefly = (fields: unknown): string => (fields === undefined ? "" : (JSON.stringify(fields) ?? "").slice(0, 300));
