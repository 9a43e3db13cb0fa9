import { describe, expect, it } from "vitest";
import { CoreWorld } from "../../tests/harness/core-world.ts";
import type { BackendTag, EndpointTag } from "../model/ids.ts";
import { dirtiedBy } from "./dirty.ts";

const code = { kind: "export", module: "file:///app.ts", export: "run", args: [] } as const;
const spec = {
  route: undefined,
  methods: undefined,
  stripPrefix: false,
  idempotent: false,
  timeoutMs: undefined,
  expose: [],
} as const;

/** Backends "a" and "b" run; the endpoint of "a" waits for a program that has not applied it. */
const waitingWorld = () => {
  const world = new CoreWorld();
  world.clients.push({ name: "program 1", kind: "program", applied: undefined });
  for (const tag of ["a", "b"] as BackendTag[]) world.call({ kind: "createBackend", tag, code, config: {} });
  world.settle();
  world.call({ kind: "createEndpoint", tag: "a" as EndpointTag, spec, traffic: { a: 1 }, shadows: {} });
  const [actor] = world.view.replicasOf("b" as BackendTag);
  const status = world.view.status(actor!)!;
  return { view: world.view, status };
};

describe("keys that a replica's status makes dirty", () => {
  it("a replica that is there concerns no waiting endpoint but its own, however many wait", () => {
    const { view, status } = waitingWorld();
    const fact = { kind: "status", id: status.actor, after: { ...status, state: "ready" } } as const;
    expect(dirtiedBy(view, fact, status)).toEqual(["backend/b"]);
  });

  it("a replica that is gone concerns every waiting endpoint: its handles are waited for no longer", () => {
    const { view, status } = waitingWorld();
    const fact = { kind: "status", id: status.actor, after: { ...status, state: "exited" } } as const;
    expect(dirtiedBy(view, fact, status)).toEqual(["backend/b", "endpoint/a"]);
  });
});
