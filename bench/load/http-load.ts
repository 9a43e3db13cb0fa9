/**
 * Closed-loop HTTP load: each of `connections` sends its next request when the last is answered. By wrk when it is installed, else by our
 * own program, whoever is measured: a comparison's sides always get the same one.
 */
import { join } from "node:path";
import { run, runProgram } from "../programs.ts";
import { programPath } from "../tools.ts";

export interface HttpLoad {
  readonly url: string;
  readonly method: "GET" | "POST";
  /** `json`: the small body that sums; a number: so many bytes. */
  readonly body: "json" | number;
  readonly connections: number;
  readonly seconds: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly ms: number;
}

interface Counted extends LoadResult {
  readonly bad: number;
}

/** @throws Error when a request failed. */
export const loadHttp = async (load: HttpLoad): Promise<LoadResult> => {
  const { url, method, body, connections, seconds } = load;
  const wrk = programPath("wrk");
  const script = join(import.meta.dirname, "wrk.lua");
  const result =
    wrk === undefined
      ? await runProgram<Counted>("load/socket-load.ts", [url, method, body, connections, seconds])
      : await run<Counted>(wrk, wrkArgs(load, script));
  if (result.bad > 0 || result.requests === 0) {
    throw new Error(`${method} ${url}: ${result.bad} requests failed, ${result.requests} were answered`);
  }
  return result;
};

/** wrk takes whole seconds. */
const wrkArgs = ({ url, method, body, connections, seconds }: HttpLoad, script: string) => [
  "-t1",
  `-c${connections}`,
  `-d${Math.ceil(seconds)}s`,
  "--timeout",
  "30s",
  "-s",
  script,
  url,
  "--",
  method,
  body,
];

export const perSecond = ({ requests, ms }: LoadResult): number => (requests / ms) * 1_000;
