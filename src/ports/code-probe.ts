/** Looks at code in a process of its own (model/probe.ts). */
import type { ProbeAnswer, ProbeOrder } from "../model/probe.ts";

export interface CodeProbe {
  /**
   * What the code is. What is wrong with the code, or with how it is to be run, is an answer; rejects with a retryable ServeError when
   * nobody could look.
   */
  probe(order: ProbeOrder): Promise<ProbeAnswer>;
}

/** Those of a node. */
export interface ProbeProcesses extends CodeProbe {
  /** Kills all that run. Those of a process that is killed end by themselves. */
  endAll(): void;
}
