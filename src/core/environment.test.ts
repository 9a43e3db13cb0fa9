/** Another content of the same environment file is a change; what it holds is found where a call comes in. */
import { beforeEach, expect, test } from "vitest";
import { appBackend, createBackend, deploy, update } from "../../tests/harness/calls.ts";
import { CoreWorld } from "../../tests/harness/core-world.ts";

const FILE = { envFile: "/b.env" };

let world: CoreWorld;
beforeEach(() => {
  world = new CoreWorld();
});
const name = (backend = "b") => world.replicas(backend)[0]?.actor;
const after = (call: Parameters<CoreWorld["call"]>[0]) => {
  const made = world.call(call);
  world.settle();
  return made;
};

test("saying the file again replaces replicas when it holds something else, and is the same goal when it does not", () => {
  after({ ...createBackend("b", FILE), envDigest: "1" });
  const first = name();
  const same = after({ ...update("b", FILE), envDigest: "1" });
  expect([name(), world.goal(same.id).state]).toEqual([first, "reached"]);
  after({ ...update("b", FILE), envDigest: "2" });
  const second = name();
  expect(second).not.toBe(first);
  // A file that nobody could read, or a change of something else, brings nothing of the kind.
  after(update("b", FILE));
  after(update("b", { userConfig: 1 }));
  expect(name()).toBe(second);
  after({ ...update("b", FILE), envDigest: "2" });
  expect(name()).toBe(second);
});

test("a file that could not be read when it was named is noted when it can be, and what failed for want of it is tried again", () => {
  after(createBackend("b", FILE));
  const first = name();
  after({ ...update("b", FILE), envDigest: "1" });
  expect(name()).toBe(first);
  after({ ...update("b", FILE), envDigest: "2" });
  expect(name()).not.toBe(first);

  world.fateOf = () => ({ fails: { code: "start-failed", message: "its envFile cannot be read" } });
  const failed = after(createBackend("c", FILE));
  expect(world.goal(failed.id).state).toBe("failed");
  world.fateOf = () => "ready";
  const again = after({ ...update("c", FILE), envDigest: "1" });
  expect(world.goal(again.id).state).toBe("reached");
});

test("a creation with another content of the file is another value", () => {
  after({ ...createBackend("b", FILE), envDigest: "1" });
  expect(world.call({ ...createBackend("b", FILE), envDigest: "1" }).outcome.kind).toBe("goal");
  expect(world.call({ ...createBackend("b", FILE), envDigest: "2" }).outcome).toMatchObject({
    error: { code: "backend-exists", message: expect.stringContaining("another content of its envFile /b.env") },
  });
});

test("a deploy brings what the file holds by now", () => {
  const app = (envDigest: string) => deploy("app", { b: { ...appBackend(FILE), envDigest } });
  after(app("1"));
  const first = name();
  after(app("1"));
  expect(name()).toBe(first);
  after(app("2"));
  expect(name()).not.toBe(first);
});
