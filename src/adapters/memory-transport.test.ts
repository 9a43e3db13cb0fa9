import { createMemoryTransport } from "./memory-transport.ts";
import { describeTransport } from "./transport.contract.ts";

describeTransport(createMemoryTransport(), [["connection in memory", () => "unix:somewhere"]]);
