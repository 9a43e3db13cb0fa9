import { describeTraffic } from "./traffic.contract.ts";

describeTraffic({});
