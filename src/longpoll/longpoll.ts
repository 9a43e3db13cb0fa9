/** The public face of the long poll: the controller's host, and the client that routers hold. */
export {
  LongPollClient,
  type LongPollClientOptions,
  type LongPollClientPorts,
  type News,
} from "./longpoll-client.ts";
export { LongPollHost, type LongPollHostOptions } from "./longpoll-host.ts";
export type { EndpointChange } from "./snapshots.ts";
