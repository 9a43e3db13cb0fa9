/** `--host`, `--port` and `--proxies` of `run` and `start`. */
import { type Command, Option } from "commander";
import type { HttpConfig } from "../model/records.ts";
import { parseCount, parsePort } from "./arguments.ts";

export interface HttpFlags {
  readonly host?: string;
  readonly port?: string;
  readonly proxies?: string;
}

export const addHttpOptions = (command: Command): Command =>
  command
    .addOption(
      new Option("--host <address>", "address that answers HTTP; 0.0.0.0 in a container (default 127.0.0.1)").env(
        "HOST",
      ),
    )
    .addOption(new Option("--port <port>", "port that answers HTTP; 0 takes a free one (default 8000)").env("PORT"))
    .option("--proxies <count>", "HTTP proxy processes (default 1)");

/** Only what was said: the rest is the default of a new instance, or what a stopped one had. */
export const httpOf = (flags: HttpFlags): Partial<HttpConfig> => ({
  ...(flags.host === undefined ? {} : { host: flags.host }),
  ...(flags.port === undefined ? {} : { port: parsePort(flags.port) }),
  ...(flags.proxies === undefined ? {} : { proxiesPerNode: parseCount(flags.proxies) }),
});
