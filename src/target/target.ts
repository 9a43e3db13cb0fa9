/**
 * The public file of this folder: from a place in the user's code to what can be served there. A replica serves it; a probe only looks.
 */
export { type FoundTarget, findTarget, isClass, refusedTarget } from "./find-target.ts";
export { inspectTarget } from "./inspect-target.ts";
export { type Target, targetOf } from "./target-of.ts";
