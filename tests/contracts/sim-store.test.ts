/** The store's contract on the simulated store, which is only worth something when it behaves as the real ones do. */
import { NO_CRASHES } from "../../src/sim/kernel/effects.ts";
import { Scheduler } from "../../src/sim/kernel/scheduler.ts";
import { SimProcess } from "../../src/sim/kernel/sim-process.ts";
import { Trace } from "../../src/sim/kernel/trace.ts";
import { SimStore } from "../../src/sim/store/sim-store.ts";
import { SimStoreClient } from "../../src/sim/store/store-client.ts";
import { type StoreLab, storeContract } from "./store-contract.ts";

const network = {
  fate: () => ({ requestMs: 0.2, answerMs: 0.2, loses: "nothing", outlives: false }) as const,
  isCutOff: () => false,
  watchDelayMs: () => 0.3,
};

/** The suite waits in real time: virtual time goes along with it. */
const follow = (scheduler: Scheduler): { readonly stop: () => Promise<void> } => {
  let isStopped = false;
  const begin = performance.now();
  const run = async () => {
    while (!isStopped) await scheduler.runTo(performance.now() - begin).then(nextTurn);
  };
  const running = run();
  return {
    stop: async () => {
      isStopped = true;
      await running;
    },
  };
};

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

storeContract("the simulated store", async (): Promise<StoreLab> => {
  const scheduler = new Scheduler(0);
  const store = new SimStore(scheduler);
  const trace = new Trace();
  const following = follow(scheduler);
  const clients: SimStoreClient[] = [];
  return {
    shortestLeaseMs: 150,
    now: () => scheduler.now(),
    store: async () => {
      const identity = { pid: clients.length + 1, startTime: "0", bootId: "boot" };
      const facts = { kind: "client", name: `client ${identity.pid}`, identity, env: {} } as const;
      const process = new SimProcess({ scheduler, trace }, facts);
      const client = new SimStoreClient({ store, scheduler, network, effects: NO_CRASHES, process });
      clients.push(client);
      return client;
    },
    compact: async () => store.compact(1),
    close: async () => {
      for (const client of clients) await client.close();
      await following.stop();
    },
  };
});
