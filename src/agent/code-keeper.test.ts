/** Which kept code is removed, and when. */
import { beforeEach, describe, expect, test } from "vitest";
import { ManualClock } from "../../tests/harness/manual-clock.ts";
import { identityOf, keptCodeName } from "../core/code-digest.ts";
import { CODE_GRACE_MS, CODE_SWEEP_INTERVAL_MS } from "../model/code-limits.ts";
import type { CodeIdentity, CodeRef } from "../model/code-ref.ts";
import type { Log } from "../ports/log.ts";
import { CodeKeeper } from "./code-keeper.ts";

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent };
const CODE: CodeRef = { kind: "export", module: "file:///app.ts", export: "default", args: [] };
const identity = (files: string, from: CodeIdentity["from"] = "kept"): CodeIdentity =>
  identityOf({ files, entry: CODE.module }, { code: CODE, config: {} }, from);

describe("kept code", () => {
  let clock: ManualClock;
  let kept: Set<string>;
  let ofActors: CodeIdentity[];
  /** undefined: the store cannot be asked; a function answers later. */
  let ofStore: readonly CodeIdentity[] | undefined | (() => Promise<readonly CodeIdentity[]>);
  let asked: number;
  let keeper: CodeKeeper;

  const keep = (...files: readonly string[]) => {
    for (const name of files) kept.add(keptCodeName(identity(name)));
  };
  const filesKept = () => ["a", "b", "c", "d"].filter((files) => kept.has(keptCodeName(identity(files))));
  /** Time passes; what was asked of the store is answered. */
  const pass = async (ms: number) => {
    clock.advance(ms);
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  const A_LONG_WHILE = CODE_GRACE_MS + CODE_SWEEP_INTERVAL_MS;

  beforeEach(() => {
    clock = new ManualClock();
    kept = new Set();
    ofActors = [];
    ofStore = [];
    asked = 0;
    keeper = new CodeKeeper({
      clock,
      log: silent,
      files: { names: () => [...kept], remove: (name) => void kept.delete(name) },
      ofActors: () => ofActors,
      ofStore: async () => {
        asked += 1;
        return typeof ofStore === "function" ? ofStore() : ofStore;
      },
    });
    keeper.start();
  });

  test("that nothing names goes, and what store or actors name stays", async () => {
    keep("a", "b", "c", "d");
    ofStore = [identity("a"), identity("d", "folder")];
    ofActors = [identity("b")];
    await pass(A_LONG_WHILE);
    expect(filesKept()).toEqual(["a", "b"]);
  });

  test("is left alone in the first minutes of an agent: a call of its predecessor's probe may be under way", async () => {
    keep("a");
    await pass(CODE_GRACE_MS - 1);
    expect(filesKept()).toEqual(["a"]);
    expect(asked).toBe(0);
    await pass(A_LONG_WHILE);
    expect(filesKept()).toEqual([]);
  });

  test("that a probe has found a short while ago stays, for the call that is being saved", async () => {
    await pass(A_LONG_WHILE);
    keep("a", "b");
    keeper.found(identity("a"));
    await pass(CODE_SWEEP_INTERVAL_MS);
    expect(filesKept()).toEqual(["a"]);
    await pass(A_LONG_WHILE);
    expect(filesKept()).toEqual([]);
  });

  test("that a probe finds while the store is asked stays", async () => {
    keep("a");
    const answer = Promise.withResolvers<readonly CodeIdentity[]>();
    ofStore = () => answer.promise;
    await pass(A_LONG_WHILE);
    keeper.found(identity("a"));
    answer.resolve([]);
    await pass(0);
    expect(filesKept()).toEqual(["a"]);
  });

  test("stays when the store cannot be asked, and goes when it can again", async () => {
    keep("a");
    ofStore = undefined;
    await pass(A_LONG_WHILE);
    ofStore = () => Promise.reject(new Error("the disk is full"));
    await pass(A_LONG_WHILE);
    expect(filesKept()).toEqual(["a"]);
    ofStore = [];
    await pass(A_LONG_WHILE);
    expect(filesKept()).toEqual([]);
  });

  test("that actors of this node run costs the store nothing", async () => {
    keep("a", "b");
    ofActors = [identity("a"), identity("b")];
    await pass(10 * A_LONG_WHILE);
    expect(filesKept()).toEqual(["a", "b"]);
    expect(asked).toBe(0);
  });
});
