/** All checkers that look on while a world runs. What must hold at rest is asked for by itself (at-rest.ts). */
import type { Call } from "../../model/calls.ts";
import type { World } from "../world.ts";
import { checkAvailability } from "./availability.ts";
import { checkChurn } from "./churn.ts";
import { checkClosures } from "./closures.ts";
import { Facts } from "./facts.ts";
import { checkFailures } from "./failures.ts";
import { checkFences } from "./fences.ts";
import { checkGoals } from "./goals.ts";
import { checkHistory } from "./history.ts";
import { checkKeptCode } from "./kept-code.ts";
import { checkKills } from "./kills.ts";
import { checkOrderOfGoing } from "./order-of-going.ts";
import { checkProcesses } from "./processes.ts";
import { checkRoom } from "./room.ts";
import { checkSnapshotOrder } from "./snapshot-order.ts";
import { checkSteadiness } from "./steadiness.ts";
import { checkSurge } from "./surge.ts";

export const watchOver = (world: World, callOf: (goalId: string) => Call | undefined): Facts => {
  const facts = new Facts(world);
  checkHistory(world, facts, callOf);
  checkSurge(world, facts);
  checkAvailability(world, facts);
  checkRoom(world, facts);
  checkKills(world, facts);
  checkProcesses(world);
  checkSnapshotOrder(world);
  checkFences(world, facts);
  checkGoals(world, facts);
  checkFailures(world, facts);
  checkClosures(world, facts);
  checkChurn(world);
  checkOrderOfGoing(world, facts);
  checkSteadiness(world, facts);
  checkKeptCode(world, facts);
  return facts;
};
