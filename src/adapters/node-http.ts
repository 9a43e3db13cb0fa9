/**
 * node:http without what an ES import of it drags in: to make its named exports, Node evaluates all of them, among them WebSocket, and
 * loads undici for it: 35 ms and 16 MB in each process. Types are imported from node:http as ever.
 */

export const nodeHttp = (): typeof import("node:http") => process.getBuiltinModule("node:http");
