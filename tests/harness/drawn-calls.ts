/** Calls as fast-check draws them, on tags so few that they meet, and small worlds in which most of them mean something. */
import fc from "fast-check";
import {
  appBackend,
  appEndpoint,
  createBackend,
  createEndpoint,
  deleteBackend,
  deleteEndpoint,
  deploy,
  restart,
  setTraffic,
  shadowTraffic,
  shutdown,
  stop,
  update,
} from "./calls.ts";
import { CoreWorld } from "./core-world.ts";

export const BACKENDS = ["a", "b", "c"];
export const ENDPOINTS = ["e", "f"];

const backend = fc.constantFrom(...BACKENDS);
const endpoint = fc.constantFrom(...ENDPOINTS);
const config = fc.record(
  {
    numReplicas: fc.integer({ min: 1, max: 5 }),
    userConfig: fc.integer({ min: 0, max: 2 }),
    env: fc.constantFrom({}, { A: "1" }, { A: "2" }),
    maxSurge: fc.integer({ min: 1, max: 2 }),
    maxUnavailable: fc.integer({ min: 0, max: 1 }),
    maxQueuedQueries: fc.integer({ min: 0, max: 2 }),
  },
  { requiredKeys: [] },
);
/** Nobody sends queries here: at rest it is the least number that runs. */
const scaled = fc
  .tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 0, max: 2 }), fc.constantFrom(0, 500))
  .map(([minReplicas, more, upDelayMs]) => ({
    autoscaling: {
      minReplicas,
      maxReplicas: minReplicas + more,
      targetQueriesPerReplica: 5,
      upDelayMs,
      downDelayMs: 500,
    },
  }));
const anyConfig = fc.oneof({ weight: 3, arbitrary: config }, { weight: 1, arbitrary: scaled });
const traffic = fc.oneof(
  backend.map((tag) => ({ [tag]: 1 })),
  fc.tuple(backend, backend).map(([x, y]) => (x === y ? { [x]: 1 } : { [x]: 0.25, [y]: 0.75 })),
);
/** An app of these backends and this endpoint, or fewer; its digests say that its code has changed. */
const appOf = (name: string, [p, q, g]: readonly [string, string, string]) =>
  fc
    .tuple(
      fc.dictionary(fc.constantFrom(p, q), fc.tuple(anyConfig, fc.constantFrom("1", "2"))),
      fc.constantFrom({}, { [g]: { [p]: 1 } }, { [g]: { [p]: 0.5, [q]: 0.5 } }),
    )
    .map(([backends, endpoints]) =>
      deploy(
        name,
        Object.fromEntries(
          Object.entries(backends).map(([tag, [values, digest]]) => [tag, appBackend(values, digest)]),
        ),
        Object.fromEntries(Object.entries(endpoints).map(([tag, shares]) => [tag, appEndpoint(shares as never)])),
      ),
    );
export const APPS: Readonly<Record<string, readonly [string, string, string]>> = {
  app: ["p", "q", "g"],
  other: ["r", "s", "h"],
};
const app = fc.oneof(...Object.entries(APPS).map(([name, tags]) => appOf(name, tags)));
export const call = fc.oneof(
  fc.tuple(backend, anyConfig).map(([tag, values]) => createBackend(tag, values)),
  fc.tuple(backend, anyConfig).map(([tag, values]) => update(tag, values)),
  backend.map(restart),
  fc.tuple(backend, fc.boolean()).map(([tag, force]) => deleteBackend(tag, force)),
  fc.tuple(endpoint, traffic).map(([tag, shares]) => createEndpoint(tag, shares, { spec: { route: `/${tag}` } })),
  endpoint.map(deleteEndpoint),
  fc.tuple(endpoint, traffic).map(([tag, shares]) => setTraffic(tag, shares)),
  fc.tuple(endpoint, backend, fc.constantFrom(0, 0.5)).map(([tag, of, share]) => shadowTraffic(tag, of, share)),
  app,
);
/** What becomes of the whole instance. `start`: somebody asks for it, whatever it is doing; for the core that is a new life. */
export type Step = AnyCall | ReturnType<typeof stop> | ReturnType<typeof shutdown> | { readonly kind: "start" };
export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 24, arbitrary: call },
  { weight: 3, arbitrary: fc.constant(stop()) },
  { weight: 3, arbitrary: fc.constant({ kind: "start" } as const) },
  { weight: 1, arbitrary: fc.constant(shutdown()) },
);
/** Calls that make replicas come and go. */
export const change = fc.oneof(
  fc.tuple(backend, config).map(([tag, values]) => update(tag, values)),
  backend.map(restart),
);
export type AnyCall = typeof call extends fc.Arbitrary<infer C> ? C : never;

export const newWorld = (): CoreWorld => {
  const world = new CoreWorld();
  world.clients = [{ name: "program 1", kind: "program", applied: undefined }];
  return world;
};

/** Two backends that serve through two endpoints: from here on most calls mean something. */
export const busyWorld = (): CoreWorld => {
  const world = newWorld();
  world.call(createBackend("a", { numReplicas: 3 }));
  world.call(createBackend("b", { numReplicas: 2, maxUnavailable: 1 }));
  world.call(createEndpoint("e", { a: 0.5, b: 0.5 }, { spec: { route: "/e" } }));
  world.call(createEndpoint("f", { a: 1 }, { spec: { route: "/f" }, shadows: { b: 0.1 } }));
  world.settle();
  return world;
};
