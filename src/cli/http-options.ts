/** `--host`, `--port` and `--proxies` of `run` and `start`, and where they answer scrapes. */
import { type Command, Option } from "commander";
import type { ApiListener } from "../model/launch.ts";
import { DEFAULT_METRICS } from "../model/metrics.ts";
import type { HttpConfig } from "../model/records.ts";
import { parseCount, parsePort } from "./arguments.ts";

export interface HttpFlags {
  readonly host?: string;
  readonly port?: string;
  readonly proxies?: string;
  readonly metricsPort?: string;
  readonly metricsHost?: string;
}

export const addHttpOptions = (command: Command): Command =>
  command
    .addOption(
      new Option("--host <address>", "address that answers HTTP; 0.0.0.0 in a container (default 127.0.0.1)").env(
        "HOST",
      ),
    )
    .addOption(new Option("--port <port>", "port that answers HTTP; 0 takes a free one (default 8000)").env("PORT"))
    .option("--proxies <count>", "HTTP proxy processes (default 1)")
    .addOption(
      new Option("--metrics-port <port>", "port that answers GET /metrics; 0 takes a free one (default: none)").env(
        "MAITRED_METRICS_PORT",
      ),
    )
    .option(
      "--metrics-host <address>",
      `address that answers GET /metrics; beyond loopback with the token of the state folder (default ${DEFAULT_METRICS.host})`,
    );

/** Only what was said: the rest is the default of a new instance, or what a stopped one had. */
export const httpOf = (flags: HttpFlags): Partial<HttpConfig> => ({
  ...(flags.host === undefined ? {} : { host: flags.host }),
  ...(flags.port === undefined ? {} : { port: parsePort(flags.port) }),
  ...(flags.proxies === undefined ? {} : { proxiesPerNode: parseCount(flags.proxies) }),
});

/** undefined: nobody has asked for metrics. */
export const metricsOf = ({ metricsHost, metricsPort }: HttpFlags): ApiListener | undefined =>
  metricsHost === undefined && metricsPort === undefined
    ? undefined
    : {
        host: metricsHost ?? DEFAULT_METRICS.host,
        port: metricsPort === undefined ? DEFAULT_METRICS.port : parsePort(metricsPort),
      };
