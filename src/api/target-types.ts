/**
 * What can be a backend: the shapes of user code that maitred serves. Types only.
 */

// biome-ignore-start lint/suspicious/noExplicitAny: these stand for every function and every class; `unknown` and `never` do not infer.
export type AnyFn = (...args: any) => any;
export type AnyClass = abstract new (...args: any) => any;
/** The instance type of a class; anything else is its own. */
export type InstanceOf<T> = T extends abstract new (...args: any) => infer I ? I : T;
// biome-ignore-end lint/suspicious/noExplicitAny: end of the three types above.

/** An object with a web-standard `fetch`: a Hono app, for one. */
export interface FetchApp {
  fetch(request: Request, ...rest: never[]): Response | Promise<Response>;
}

/** function = door; class / object (also a module namespace) = door `call` or `fetch` + methods. */
export type Target = AnyFn | AnyClass | object;
