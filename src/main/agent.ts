/** The agent's process. One argument: its AgentLaunch in JSON. */
import { entries } from "../adapters/entries.ts";
import type { AgentLaunch } from "../model/launch.ts";
import { runAgent } from "./run-agent.ts";

await runAgent(JSON.parse(process.argv[2] ?? "{}") as AgentLaunch, entries());
