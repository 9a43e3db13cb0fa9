/** The public file of the simulated world: runs of a seed under random faults, and crashes at every effect of a scenario. */
export { runScenario } from "./scenario/scenario.ts";
export { SCENARIOS } from "./scenario/scenarios.ts";
export { runSwarm } from "./swarm/run-swarm.ts";
