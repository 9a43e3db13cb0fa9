/** `maitred start`: a detached instance. One that runs already is answered as it is, or refused when it was asked for otherwise. */
import { once } from "node:events";
import { type Command, Option } from "commander";
import { ServeError } from "../base/serve-error.ts";
import type { ApiListener } from "../model/launch.ts";
import { HTTP_LOCATIONS, type HttpConfig } from "../model/records.ts";
import { parsePort } from "./arguments.ts";
import { addHttpOptions, type HttpFlags, httpOf, metricsOf } from "./http-options.ts";
import type { Common } from "./options.ts";
import { metricsLine } from "./say-where.ts";
import { paintOf } from "./terminal.ts";

interface StartFlags extends HttpFlags {
  readonly instance: string;
  readonly stateDir?: string;
  readonly api?: string;
  readonly location?: HttpConfig["location"];
  readonly json?: true;
}

export const addStart = (program: Command, common: Common): void => {
  addHttpOptions(program.command("start"))
    .description("start a detached instance, or go on with one that was stopped")
    .addOption(new Option("-i, --instance <name>", "name of the instance").env("MAITRED_INSTANCE").default("default"))
    .addOption(
      new Option("--state-dir <folder>", "where its state lies (default: $XDG_STATE_HOME/maitred/<name>)").env(
        "MAITRED_STATE_DIR",
      ),
    )
    .addOption(
      new Option("--location <where>", "nodes with proxies: none, the head, or every one (default head)").choices(
        HTTP_LOCATIONS,
      ),
    )
    .option("--api <host:port>", "also answer REST on TCP, with the token of the state folder")
    .option("--json", "print one JSON document")
    .addHelpText(
      "after",
      `
--proxies 0 or --location none: nothing answers HTTP, only handles reach the endpoints.

Examples:
  maitred start --instance shop --port 8080 --proxies 2
  maitred start --api 127.0.0.1:8001`,
    )
    .action((flags: StartFlags) => start(common, flags));
};

const start = async ({ world }: Common, flags: StartFlags): Promise<void> => {
  const wanted: Wanted = {
    http: { ...httpOf(flags), ...(flags.location === undefined ? {} : { location: flags.location }) },
    api: flags.api === undefined ? undefined : parseListener(flags.api),
    metrics: metricsOf(flags),
  };
  const interrupted = world.interruption();
  const { client, instance, alreadyRunning, api, metrics } = await world.launch(
    { instance: flags.instance, stateDir: flags.stateDir, ...wanted, life: "detached" },
    interrupted,
  );
  try {
    // It runs: an interruption only ends the wait for a proxy.
    await Promise.race([client.untilServing(), once(interrupted, "abort")]);
    const http = await client.getHttpConfig();
    const { urls } = client;
    if (alreadyRunning) refuseOther(instance.name, { wanted, http, api, metrics });
    const scrapes = metrics === undefined ? [] : (await client.status()).metrics;
    const answer = { instance: instance.name, stateDir: instance.stateDir, alreadyRunning, urls, metrics: scrapes };
    if (flags.json) return world.terminal.out(`${JSON.stringify(answer)}\n`);
    const paint = paintOf(world.terminal);
    const none =
      http.proxiesPerNode === 0 || http.location === "none"
        ? "nothing answers HTTP, only handles reach endpoints"
        : "no proxy listens yet";
    const where = urls.length > 0 ? urls.join(" ") : `(${none})`;
    world.terminal.out(
      `${paint.green(alreadyRunning ? "runs already" : "started")} ${instance.name} ${where}\n${metricsLine(paint, scrapes)}${paint.dim(`state in ${instance.stateDir}`)}\n`,
    );
  } finally {
    await client.close();
  }
};

interface Wanted {
  readonly http: Partial<HttpConfig>;
  readonly api: ApiListener | undefined;
  readonly metrics: ApiListener | undefined;
}

/** What it has. */
interface Present {
  readonly http: HttpConfig;
  readonly api: ApiListener | undefined;
  readonly metrics: ApiListener | undefined;
}

/** Options hold for a process that starts. To answer "runs already" to other ones would be to swallow them. */
const refuseOther = (name: string, { wanted, http, api, metrics }: Present & { readonly wanted: Wanted }): void => {
  const apiText = api === undefined ? "none" : `${api.host}:${api.port}`;
  const pairs: readonly (readonly [string, unknown, unknown])[] = [
    ["--host", wanted.http.host?.replace(/^localhost$/, "127.0.0.1"), http.host.replace(/^localhost$/, "127.0.0.1")],
    // Port 0 is any port.
    ["--port", wanted.http.port === 0 ? undefined : wanted.http.port, http.port],
    ["--proxies", wanted.http.proxiesPerNode, http.proxiesPerNode],
    ["--location", wanted.http.location, http.location],
    ["--api", wanted.api === undefined ? undefined : `${wanted.api.host}:${wanted.api.port}`, apiText],
    ["--metrics-host", wanted.metrics?.host, metrics?.host ?? "none"],
    ["--metrics-port", wanted.metrics?.port === 0 ? undefined : wanted.metrics?.port, metrics?.port ?? "none"],
  ];
  const others = pairs.filter(([, asked, has]) => asked !== undefined && asked !== has);
  if (others.length === 0) return;
  const list = others.map(([option, asked, has]) => `${option} ${asked} (it has ${has})`).join(", ");
  throw new ServeError(
    "instance-exists",
    `instance "${name}" runs already, and not with ${list}. Stop it, then start it so: maitred stop --instance ${name}`,
  );
};

const parseListener = (text: string): ApiListener => {
  const at = text.lastIndexOf(":");
  if (at < 1) throw new ServeError("usage", `--api must be host:port, got "${text}".`);
  return { host: text.slice(0, at).replace(/^\[(.+)\]$/, "$1"), port: parsePort(text.slice(at + 1)) };
};
