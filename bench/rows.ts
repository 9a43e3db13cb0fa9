/** All comparisons, in the order in which they run. */
import type { Comparison } from "./comparison.ts";
import { creating } from "./control/creating.ts";
import { followers } from "./control/followers.ts";
import { idleController, newLife } from "./control/large-instance.ts";
import { setTraffic } from "./control/set-traffic.ts";
import { batching } from "./data/batching.ts";
import { bigRequests, bigResponses, streamedParts } from "./data/bodies.ts";
import { composition } from "./data/composition.ts";
import { halfLoad } from "./data/half-load.ts";
import { handleCalls, loneCall } from "./data/handle-calls.ts";
import { metricsCost } from "./data/metrics-cost.ts";
import { smallRequests } from "./data/small-requests.ts";
import { idleMemory, npmStart, runHello } from "./start/start-rows.ts";

export const COMPARISONS: readonly Comparison[] = [
  setTraffic,
  idleController,
  newLife,
  followers,
  creating,
  smallRequests,
  halfLoad,
  metricsCost,
  handleCalls,
  loneCall,
  composition,
  streamedParts,
  bigResponses,
  bigRequests,
  batching,
  idleMemory,
  runHello,
  npmStart,
];
