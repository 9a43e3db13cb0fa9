/** Parsed bodies as calls of the controller, defaults of endpoints filled in, goal ids left to whoever has them. */
import type { z } from "zod";
import { identityOf } from "../core/code-digest.ts";
import type { CodeWish } from "../core/probe-orders.ts";
import type { AppBackend, AppEndpoint } from "../model/app.ts";
import type { BackendConfigInput } from "../model/backend-config.ts";
import type { Call } from "../model/calls.ts";
import { type CodeBody, codeRefOf } from "../model/code-ref.ts";
import { resolveEndpoint } from "../model/endpoint.ts";
import type { AppName, BackendTag, EndpointTag } from "../model/ids.ts";
import type * as schemas from "./schemas.ts";

/** A call without its goal id. */
export type Change = Call extends infer C ? (C extends Call ? Omit<C, "goalId"> : never) : never;

type Body<K extends keyof typeof schemas> = z.infer<(typeof schemas)[K]>;

export const deployOf = (app: string, { backends, endpoints }: Body<"deploySchema">): Change => ({
  kind: "deploy",
  app: app as AppName,
  backends: mapValues(backends, backendOf),
  endpoints: mapValues(endpoints, (body) => resolveEndpoint(body) as AppEndpoint),
});

export const createBackendOf = (tag: string, body: Body<"createBackendSchema">): Change => ({
  kind: "createBackend",
  tag: tag as BackendTag,
  ...backendOf(body),
});

export const createEndpointOf = (tag: string, body: Body<"createEndpointSchema">): Change => ({
  kind: "createEndpoint",
  tag: tag as EndpointTag,
  ...resolveEndpoint(body),
});

/** The call that a plan is asked for. */
export const plannedOf = (body: Body<"planSchema">): Change => {
  switch (body.kind) {
    case "deploy":
      return deployOf(body.app, body);
    case "createBackend": {
      const { kind: _, tag, ...backend } = body;
      return createBackendOf(tag, backend);
    }
    case "createEndpoint":
      return createEndpointOf(body.tag, body.endpoint);
    case "updateBackendConfig":
      return { ...body, tag: body.tag as BackendTag, config: body.config as BackendConfigInput };
    case "restartBackend":
      return { ...body, tag: body.tag as BackendTag };
    case "deleteBackend":
      return { ...body, tag: body.tag as BackendTag, force: body.force === true };
    case "deleteEndpoint":
      return { ...body, tag: body.tag as EndpointTag };
    case "setTraffic":
      return { kind: body.kind, tag: body.tag as EndpointTag, traffic: body.weights };
    case "shadowTraffic":
      return { ...body, tag: body.tag as EndpointTag, backend: body.backend as BackendTag };
  }
};

const backendOf = ({ folder, config = {}, ...code }: Body<"createBackendSchema">): AppBackend => {
  const wish: CodeWish = { code: codeRefOf(code as CodeBody), config: config as BackendConfigInput };
  if (folder === undefined) return wish;
  // The caller has looked at the code itself: nobody else need, and nothing is kept.
  const offers = { ...folder.offers, door: folder.offers.door };
  return { ...wish, identity: identityOf(folder.code, wish, "folder"), offers };
};

const mapValues = <T, R>(things: Readonly<Record<string, T>>, make: (thing: T) => R): Record<string, R> =>
  Object.fromEntries(Object.entries(things).map(([key, thing]) => [key, make(thing)]));
