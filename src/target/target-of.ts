/**
 * What loaded code offers: its door (a function, `call`, or a web-standard `fetch`; `call` wins), its methods, its life.
 * Looks only at what stands there: getters are not called. Methods are looked up again at each call, so that code may replace them.
 */
import { declaresBatches, isReachableMethodName } from "../api/api.ts";
import type { Offers } from "../model/actor.ts";
import { isClass } from "./find-target.ts";

type AnyFunction = (...args: readonly unknown[]) => unknown;

export interface Target {
  readonly offers: Offers;
  /** Runs the door: a function or `call` gets a ServeRequest, `fetch` a Request. Undefined when there is none. */
  readonly door: ((request: unknown) => unknown) | undefined;
  has(method: string): boolean;
  /** Only for names that it has. */
  run(method: string, args: readonly unknown[]): unknown;
  /** Undefined when the code has none. */
  readonly life: Life;
}

export interface Life {
  readonly start: (() => unknown) | undefined;
  readonly reconfigure: ((userConfig: unknown) => unknown) | undefined;
  readonly checkHealth: (() => unknown) | undefined;
  readonly close: (() => unknown) | undefined;
}

const NO_LIFE: Life = { start: undefined, reconfigure: undefined, checkHealth: undefined, close: undefined };

/** @param value a function, or an object: an instance, a plain object or a module. */
export function targetOf(value: object): Target {
  if (typeof value === "function") return targetOfFunction(value as AnyFunction);
  const methods = new Set(methodNamesOf(value));
  const members = value as Readonly<Record<string, AnyFunction>>;
  const kind = isFunctionMember(value, "call") ? "call" : isFunctionMember(value, "fetch") ? "fetch" : undefined;
  const bound = (name: string) =>
    isFunctionMember(value, name) ? (...args: readonly unknown[]) => members[name]!(...args) : undefined;
  return {
    offers: { door: kind, methods: [...methods].sort(), batches: declaresBatches() },
    door: kind === undefined ? undefined : (request) => members[kind]!(request),
    has: (method) => methods.has(method),
    run: (method, args) => members[method]!(...args),
    life: {
      start: bound("start"),
      reconfigure: bound("reconfigure"),
      checkHealth: bound("checkHealth"),
      close: bound("close"),
    },
  };
}

function targetOfFunction(value: AnyFunction): Target {
  return {
    offers: { door: "function", methods: [], batches: declaresBatches() },
    door: (request) => value(request),
    has: () => false,
    run: () => undefined,
    life: NO_LIFE,
  };
}

/** Names of callable members, own and inherited, but those of every object. */
function methodNamesOf(value: object): string[] {
  const names = new Set<string>();
  for (const level of levelsOf(value)) {
    for (const name of Object.getOwnPropertyNames(level)) {
      if (isReachableMethodName(name) && isFunctionMember(value, name)) names.add(name);
    }
  }
  return [...names];
}

/** Whether a member is a function by itself, not by a getter, and not a class. */
function isFunctionMember(value: object, name: string): boolean {
  for (const level of levelsOf(value)) {
    const member = Object.getOwnPropertyDescriptor(level, name);
    // The nearest one counts: a field may hide a method.
    if (member !== undefined) {
      const value: unknown = isModule(level) ? (level as Record<string, unknown>)[name] : member.value;
      return typeof value === "function" && !isClass(value);
    }
  }
  return false;
}

/** Tools that run modules as something else (test runners) make getters of exports; to read those runs no user code. */
const isModule = (value: object): boolean =>
  (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag] === "Module";

function* levelsOf(value: object): Generator<object> {
  for (
    let level: object | null = value;
    level !== null && level !== Object.prototype;
    level = Object.getPrototypeOf(level) as object | null
  ) {
    yield level;
  }
}
