import { expectTypeOf, test } from "vitest";
import type * as calls from "../model/calls.ts";
import type * as records from "../model/records.ts";
import type * as status from "../model/status.ts";
import type { BackendStatus, EndpointStatus, Goal, HttpConfig, ProcessStatus, Status } from "./client-types.ts";

test("what the instance reports of itself is what the public types promise", () => {
  expectTypeOf<calls.Goal>().toExtend<Goal>();
  expectTypeOf<records.HttpConfig>().toEqualTypeOf<HttpConfig>();
  expectTypeOf<status.ProcessStatus>().toExtend<ProcessStatus>();
  expectTypeOf<status.EndpointStatus>().toExtend<EndpointStatus>();
  // Backends apart: the saved configuration is typed field by field, the public one with the relations between fields.
  expectTypeOf<Omit<status.Status, "backends">>().toExtend<Omit<Status, "backends">>();
  expectTypeOf<Omit<status.BackendStatus, "config">>().toExtend<Omit<BackendStatus, "config">>();
});
