/** What the digests of code depend on, and what they do not. */
import { describe, expect, test } from "vitest";
import { codeDigest, filesDigest, type HashedFile, identityOf, identityUnder, keptCodeName } from "./code-digest.ts";

const file = (name: string, sha256 = "aa"): HashedFile => ({ name, sha256 });
const APP = file("app.ts");
const LOCK = file("package-lock.json", "ll");
const CODE = { kind: "export", module: "file:///srv/app.ts", export: "default", args: [1, "x"] } as const;
const LOADED = { files: "f".repeat(64), entry: "file:///srv/app.ts" };

describe("the digest of files", () => {
  const digest = filesDigest([APP, file("lib/model.ts", "bb")], [LOCK]);

  test("does not depend on the order in which they were loaded", () => {
    expect(filesDigest([file("lib/model.ts", "bb"), APP], [LOCK])).toBe(digest);
  });

  test("changes with the content of a file, its name, another file, and the lock file", () => {
    const others = [
      filesDigest([APP, file("lib/model.ts", "bc")], [LOCK]),
      filesDigest([APP, file("lib/models.ts", "bb")], [LOCK]),
      filesDigest([APP], [LOCK]),
      filesDigest([APP, file("lib/model.ts", "bb")], [file("package-lock.json", "lm")]),
      filesDigest([APP, file("lib/model.ts", "bb")], []),
      // A loaded lock file is not the same as one that stands for packages.
      filesDigest([APP, file("lib/model.ts", "bb"), LOCK], []),
    ];
    expect(new Set([digest, ...others]).size).toBe(7);
  });
});

describe("the digest of code", () => {
  test("changes with files, args, nodeArgs and codeVersion, and with nothing else of a configuration", () => {
    const { digest } = identityOf(LOADED, { code: CODE, config: {} }, "kept");
    const digests = [
      digest,
      codeDigest("e".repeat(64), { args: CODE.args, nodeArgs: [], codeVersion: undefined }),
      identityOf(LOADED, { code: { ...CODE, args: [1] }, config: {} }, "kept").digest,
      identityOf(LOADED, { code: CODE, config: { nodeArgs: ["--import", "tsx"] } }, "kept").digest,
      identityOf(LOADED, { code: CODE, config: { codeVersion: "2" } }, "kept").digest,
    ];
    expect(new Set(digests).size).toBe(5);
    const same = { code: CODE, config: { numReplicas: 3, env: { A: "b" }, nodeArgs: [] } };
    expect(identityOf({ ...LOADED, entry: "file:///elsewhere/app.ts" }, same, "folder").digest).toBe(digest);
  });

  test("follows a configuration, and comes back with it; what is kept stays", () => {
    const identity = identityOf(LOADED, { code: CODE, config: {} }, "kept");
    const changed = identityUnder(identity, { code: CODE, config: { codeVersion: "2" } });
    expect(changed).toMatchObject({ files: identity.files, entry: identity.entry, from: "kept" });
    expect(changed?.digest).not.toBe(identity.digest);
    expect(identityUnder(changed, { code: CODE, config: {} })).toEqual(identity);
    expect(identityUnder(undefined, { code: CODE, config: {} })).toBeUndefined();
  });

  test("equal files in two places are kept twice", () => {
    expect(keptCodeName(LOADED)).not.toBe(keptCodeName({ ...LOADED, entry: "file:///elsewhere/app.ts" }));
  });
});
