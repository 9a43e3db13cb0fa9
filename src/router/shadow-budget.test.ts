/** The copies that a router has under way: bounded for each shadow by itself. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { backendOf, endpointOf, RouterLab } from "../../tests/harness/router-lab.ts";
import { waitFor } from "../../tests/harness/wait-for.ts";
import { MAX_SHADOWS_IN_FLIGHT } from "../model/limits.ts";

const DEADLINE_MS = 5_000;
const MORE = 20;
let lab: RouterLab;

beforeEach(() => {
  lab = new RouterLab();
});
afterEach(() => lab.close());

test("a shadow that hangs uses up its own budget, and the other gets every copy", async () => {
  const limits = { maxConcurrentQueries: 10_000 };
  const primary = await lab.replica({ onQuery: (query) => query.answer("well") });
  const hangs = await lab.replica({ backend: "hangs" });
  const well = await lab.replica({ backend: "well", onQuery: (query) => query.answer("well") });
  const backends = {
    b: backendOf([primary], limits),
    hangs: backendOf([hangs], limits),
    well: backendOf([well], limits),
  };
  lab.publish(endpointOf(backends, { shadows: { hangs: 1, well: 1 } }));
  const asked = MAX_SHADOWS_IN_FLIGHT + MORE;
  for (let index = 0; index < asked; index += 1) expect((await lab.ask().outcome).failure).toBeUndefined();
  await waitFor("every copy has come to the one that answers", () => well.queries.length === asked, DEADLINE_MS);
  expect(hangs.queries).toHaveLength(MAX_SHADOWS_IN_FLIGHT);
  expect(lab.router.counts().shadows).toMatchObject({ sent: asked + MAX_SHADOWS_IN_FLIGHT, dropped: MORE });
});
