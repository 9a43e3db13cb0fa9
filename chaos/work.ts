/** What chaos serves: each query notes its id before it does anything, waits a little, and answers with its id. */
import { appendFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { getHandle, type ServeRequest } from "maitred";

const { LEDGER: ledger = "/nowhere", VERSION: version = "0" } = process.env;

/** Durable against the death of this process: the kernel has it when the call returns. */
const note = (id: string): void => appendFileSync(`${ledger}/${process.pid}`, `${id}\n`);

export class Work {
  /** HTTP: `?id=…&ms=…`. */
  async call(request: ServeRequest) {
    return this.run(request.query.get("id") ?? "", Number(request.query.get("ms") ?? 0));
  }

  async run(id: string, ms: number) {
    note(id);
    await pause(ms);
    return { id, version };
  }

  async *count(id: string, parts: number, ms: number) {
    note(id);
    for (let part = 0; part < parts; part += 1) {
      await pause(ms / parts);
      yield part;
    }
  }
}

/** Calls `work` by its handle: the same query, one hop further. */
export class Relay {
  readonly #work = getHandle<typeof Work>("work");

  call(request: ServeRequest) {
    return this.#work.run(request.query.get("id") ?? "", Number(request.query.get("ms") ?? 0));
  }
}
