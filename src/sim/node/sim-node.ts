/**
 * A simulated machine: a boot, a disk, a process table, the agent's socket and lock. Processes live on when the agent that started them
 * dies; a reboot ends all of them and changes the boot id.
 */
import type { NodeName } from "../../model/ids.ts";
import { type InstanceFile, runFiles } from "../../model/places.ts";
import type { ListenSockets } from "../../ports/listen-sockets.ts";
import type { ProcessHost, SpawnOptions } from "../../ports/processes.ts";
import { act } from "../kernel/act.ts";
import type { Effects } from "../kernel/effects.ts";
import type { Scheduler } from "../kernel/scheduler.ts";
import { type ProcessKind, SimProcess } from "../kernel/sim-process.ts";
import type { Trace } from "../kernel/trace.ts";
import { Disk } from "./disk.ts";
import { Switchboard } from "./switchboard.ts";

export interface NodePorts {
  readonly scheduler: Scheduler;
  readonly trace: Trace;
  readonly effects: Effects;
  readonly netDelayMs: () => number;
  /** From the spawn of a process to the first line of its program. */
  readonly bootDelayMs: () => number;
  /** What an entry does in its process. */
  readonly run: (node: SimNode, process: SimProcess, args: readonly string[]) => void;
  /** A process has come to be. */
  readonly onSpawn: (node: SimNode, process: SimProcess) => void;
  /** A process of this node is about to get a signal from another one. */
  readonly onSignal: (node: SimNode, process: SimProcess, signal: "SIGTERM" | "SIGKILL") => void;
}

/** The entry files of the simulated programs: the kind of process that each makes. */
export const ENTRIES = {
  controller: "controller",
  proxy: "proxy",
  replica: () => "replica",
  probe: () => "probe",
} as const;

const FIRST_PID = 100;

export class SimNode {
  readonly name: NodeName;
  readonly stateDir: string;
  readonly runDir: string;
  readonly disk = new Disk();
  readonly switchboard: Switchboard;
  readonly #ports: NodePorts;
  readonly #processes = new Map<number, SimProcess>();
  #boots = 1;
  #lastPid = FIRST_PID;

  constructor(ports: NodePorts, name: NodeName) {
    this.#ports = ports;
    this.name = name;
    this.stateDir = `/${name}/state`;
    this.runDir = `/${name}/run`;
    this.switchboard = new Switchboard({ scheduler: ports.scheduler, delayMs: ports.netDelayMs });
  }

  get processes(): readonly SimProcess[] {
    return [...this.#processes.values()];
  }

  ofKind(kind: ProcessKind): readonly SimProcess[] {
    return this.processes.filter((process) => process.facts.kind === kind);
  }

  instanceOnDisk(): string | undefined {
    return this.disk.read<InstanceFile>(runFiles(this.runDir).instance)?.id;
  }

  /** A process that nobody's port started: an agent. */
  begin(kind: ProcessKind, env: Readonly<Record<string, string>> = {}): SimProcess {
    this.#lastPid += 1;
    const pid = this.#lastPid;
    const identity = { pid, startTime: String(Math.floor(this.#ports.scheduler.now())), bootId: this.#bootId };
    const facts = { kind, name: `${kind}@${this.name}/${pid}`, identity, env };
    const process = new SimProcess(this.#ports, facts);
    this.#processes.set(pid, process);
    process.onDeath(() => this.#processes.delete(pid));
    this.#ports.trace.note(this.#ports.scheduler.now(), facts.name, "starts");
    this.#ports.onSpawn(this, process);
    return process;
  }

  /** ports/processes.ts for one process of this node. */
  hostFor(self: SimProcess): ProcessHost {
    const by = { process: self, effects: this.#ports.effects };
    const living = ({ pid, startTime, bootId }: SimProcess["facts"]["identity"]): SimProcess | undefined => {
      const found = this.#processes.get(pid);
      return bootId === this.#bootId && found?.facts.identity.startTime === startTime ? found : undefined;
    };
    return {
      self: self.facts.identity,
      spawn: (entry, args, options, onExit) => {
        const made = act(by, `spawn of a ${entry}`, () => this.#spawn(entry, args, options));
        // A dead process's spawn makes nothing; what it is told is of no consequence.
        if (made === undefined) return { pid: 0, startTime: "", bootId: "" };
        made.onDeath((exit) => {
          this.#ports.scheduler.after(this.#ports.netDelayMs(), () => self.deliver(() => onExit(exit)));
        });
        return made.facts.identity;
      },
      identityOf: (pid) => this.#processes.get(pid)?.facts.identity,
      find: (variable, value) =>
        this.processes.find((process) => process.facts.env[variable] === value)?.facts.identity,
      isAlive: (identity) => living(identity) !== undefined,
      signal: (identity, signal) =>
        void act(by, signal, () => {
          const process = living(identity);
          if (process === undefined) return;
          this.#ports.onSignal(this, process, signal);
          process.signal(signal);
        }),
    };
  }

  listenSockets(): ListenSockets {
    return {
      maxProxiesPerPort: Number.POSITIVE_INFINITY,
      open: async ({ host, port }) => ({
        port: port === 0 ? 8000 : port,
        address: `tcp:${host}:${port === 0 ? 8000 : port}`,
        fd: 3,
        close: () => {},
      }),
    };
  }

  /** The power goes: processes, sockets, and what was never synced. */
  powerCut(): void {
    this.#ports.trace.note(this.#ports.scheduler.now(), this.name, "power cut");
    for (const process of this.processes) process.end({ code: undefined, signal: "SIGKILL" });
    this.#boots += 1;
    this.disk.powerCut();
  }

  get #bootId(): string {
    return `${this.name}-boot-${this.#boots}`;
  }

  #spawn(entry: string, args: readonly string[], { env }: SpawnOptions): SimProcess {
    const process = this.begin(entry as ProcessKind, env.set);
    this.#ports.scheduler.after(this.#ports.bootDelayMs(), () =>
      process.deliver(() => this.#ports.run(this, process, args)),
    );
    return process;
  }
}
