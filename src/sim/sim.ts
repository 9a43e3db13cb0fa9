/** The public file of the simulated world: runs of a seed under random faults, and crashes at every effect of a scenario. */
export { runSwarm, type SwarmOptions, type SwarmResult } from "./swarm/run-swarm.ts";
