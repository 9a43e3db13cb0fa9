/** An app for tests of the core: two versions behind one endpoint, the second one as its shadow. */
import type { AppBackend } from "../../src/model/app.ts";
import type { BackendTag, EndpointTag } from "../../src/model/ids.ts";
import { appBackend, appEndpoint, deploy } from "./calls.ts";
import type { CoreWorld } from "./core-world.ts";

/** What its file says otherwise. */
interface File {
  readonly traffic?: Record<string, number>;
  readonly v1?: AppBackend;
  readonly v2?: AppBackend;
}

const V1 = appBackend({ numReplicas: 2 }, "d1");
const V2 = appBackend({}, "d2");

export const flowers = ({ traffic = { v1: 1 }, v1 = V1, v2 = V2 }: File = {}) =>
  deploy("flowers", { v1, v2 }, { iris: appEndpoint(traffic, { spec: { route: "/iris" }, shadows: { v2: 0.5 } }) });

/** Short questions to the world of a test. */
export const look = (world: () => CoreWorld) => ({
  backend: (tag: string) => world().view.backend(tag as BackendTag),
  endpoint: (tag: string) => world().view.endpoint(tag as EndpointTag),
  names: (tag: string) =>
    world()
      .replicas(tag)
      .map((replica) => replica.actor),
  ready: (tag: string) =>
    world()
      .replicas(tag)
      .filter((replica) => replica.phase === "ready").length,
});

export const errorOf = (outcome: { readonly kind: string }) =>
  (outcome as { readonly error?: { readonly code: string; readonly message: string } }).error;
