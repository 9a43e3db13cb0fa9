/**
 * Which names can be called from outside: the one rule for handles, and for replicas when they list what their code offers.
 * Not reachable are the life of a class, its doors (they have their own way in), names that begin with `_`, and what every
 * object has.
 */

const LIFE_CYCLE = ["constructor", "start", "close", "reconfigure", "checkHealth"];
const DOORS = ["call", "fetch"];
/** JavaScript itself calls these: awaiting or printing an object would be a query. */
const HOOKS = ["then", "toJSON"];

const UNREACHABLE: ReadonlySet<string> = new Set([
  ...LIFE_CYCLE,
  ...DOORS,
  ...HOOKS,
  ...Object.getOwnPropertyNames(Object.prototype),
]);

export const isReachableMethodName = (name: string): boolean => !name.startsWith("_") && !UNREACHABLE.has(name);
