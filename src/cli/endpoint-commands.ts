/** `maitred endpoint …`, `traffic set`, `shadow set|remove`: where queries come in and how they are split. */
import type { Command } from "commander";
import { parseDuration, parseShares } from "./arguments.ts";
import {
  addChangeOptions,
  addInstanceOptions,
  type ChangeFlags,
  type Common,
  change,
  examples,
  type InstanceFlags,
  withClient,
} from "./options.ts";
import { paintOf, table } from "./terminal.ts";

interface EndpointFlags extends ChangeFlags {
  readonly route?: string;
  readonly methods?: readonly string[];
  readonly backend?: string;
  readonly traffic?: readonly string[];
  readonly shadows?: readonly string[];
  readonly expose?: readonly string[];
  readonly queryTimeout?: string;
  readonly idempotent?: true;
  readonly stripPrefix?: true;
}

export const addEndpointCommands = (program: Command, common: Common): void => {
  addEndpoint(
    program
      .command("endpoint")
      .description("a route or a name that queries come in by")
      .addHelpText("after", examples("endpoint list", "endpoint create iris --route /iris --backend iris:v1")),
    common,
  );

  addChangeOptions(
    program
      .command("traffic")
      .description("how an endpoint's queries are split")
      .addHelpText("after", examples("traffic set iris iris:v1=90% iris:v2=10%"))
      .command("set <endpoint> <shares...>"),
  )
    .description("set the shares of an endpoint's backends; they sum to 1, shadows stay")
    .addHelpText("after", "\nExample:\n  maitred traffic set iris iris:v1=90% iris:v2=10%")
    .action((endpoint: string, words: string[], flags: ChangeFlags) => {
      const shares = parseShares(words);
      return change(common, flags, {
        done: `endpoint ${endpoint} has its new traffic`,
        call: (client, wait) => client.setTraffic(endpoint, shares, wait),
      });
    });

  const shadow = program
    .command("shadow")
    .description("copies of queries whose answers nobody sees")
    .addHelpText("after", examples("shadow set iris iris:v2=50%", "shadow remove iris iris:v2"));
  addChangeOptions(shadow.command("set <endpoint> <share>"))
    .description("copy a share of an endpoint's queries to a backend")
    .addHelpText("after", "\nExample:\n  maitred shadow set iris iris:v2=50%")
    .action((endpoint: string, word: string, flags: ChangeFlags) => {
      const [backend = "", share = 0] = Object.entries(parseShares([word]))[0] ?? [];
      return change(common, flags, {
        done: `endpoint ${endpoint} is shadowed by ${backend}`,
        call: (client, wait) => client.shadowTraffic(endpoint, backend, share, wait),
      });
    });
  addChangeOptions(shadow.command("remove <endpoint> <backend>"))
    .description("end a shadow")
    .addHelpText("after", examples("shadow remove iris iris:v2"))
    .action((endpoint: string, backend: string, flags: ChangeFlags) =>
      change(common, flags, {
        done: `endpoint ${endpoint} is not shadowed by ${backend}`,
        call: (client, wait) => client.shadowTraffic(endpoint, backend, 0, wait),
      }),
    );
};

const addEndpoint = (endpoint: Command, common: Common): void => {
  addChangeOptions(endpoint.command("create <tag>"))
    .description("open an endpoint on a backend, or on several by shares")
    .option("--route <route>", "/path, with :parameters and a closing *; without it only handles reach the endpoint")
    .option("--methods <method...>", "HTTP methods; default all")
    .option("--backend <tag>", "the backend that answers")
    .option("--traffic <shares...>", "several backends: iris:v1=90% iris:v2=10%")
    .option("--shadows <shares...>", "copies: iris:v2=50%")
    .option("--expose <method...>", "methods that HTTP reaches with x-serve-call-method")
    .option("--query-timeout <duration>", "deadline of a query")
    .option("--idempotent", "queries may run twice: retried when a replica is lost")
    .option("--strip-prefix", "cut the matched prefix from the URL")
    .addHelpText("after", "\nExample:\n  maitred endpoint create iris --route /iris --methods POST --backend iris:v1")
    .action((tag: string, flags: EndpointFlags) => {
      const endpoint = endpointOf(flags);
      return change(common, flags, {
        done: `endpoint ${tag} is open`,
        call: (client, wait) => client.createEndpointFrom(tag, endpoint, wait),
      });
    });

  addChangeOptions(endpoint.command("delete <tag>"))
    .description("close an endpoint; its backends stay")
    .addHelpText("after", examples("endpoint delete iris"))
    .action((tag: string, flags: ChangeFlags) =>
      change(common, flags, {
        done: `endpoint ${tag} is gone`,
        call: (client, wait) => client.deleteEndpoint(tag, wait),
      }),
    );

  addInstanceOptions(endpoint.command("list"))
    .description("endpoints with routes and traffic")
    .addHelpText("after", examples("endpoint list", "endpoint list --json"))
    .action((flags: InstanceFlags) =>
      withClient(common.world, flags, async (client) => {
        const endpoints = await client.listEndpoints();
        const rows = [
          ["tag", "route", "traffic"],
          ...endpoints.map((entry) => [entry.tag, entry.route ?? "-", JSON.stringify(entry.traffic)]),
        ];
        common.world.terminal.out(
          flags.json ? `${JSON.stringify(endpoints)}\n` : table(rows, paintOf(common.world.terminal)),
        );
      }),
    );
};

/** As REST takes it; the controller refuses what does not fit, with a sentence. */
const endpointOf = (flags: EndpointFlags): object => ({
  ...(flags.route === undefined ? {} : { route: flags.route }),
  ...(flags.methods === undefined ? {} : { methods: flags.methods.flatMap((word) => word.toUpperCase().split(",")) }),
  ...(flags.backend === undefined ? {} : { backend: flags.backend }),
  ...(flags.traffic === undefined ? {} : { traffic: parseShares(flags.traffic) }),
  ...(flags.shadows === undefined ? {} : { shadows: parseShares(flags.shadows) }),
  ...(flags.expose === undefined ? {} : { expose: flags.expose }),
  ...(flags.queryTimeout === undefined ? {} : { timeoutMs: parseDuration(flags.queryTimeout) }),
  ...(flags.idempotent ? { idempotent: true } : {}),
  ...(flags.stripPrefix ? { stripPrefix: true } : {}),
});
