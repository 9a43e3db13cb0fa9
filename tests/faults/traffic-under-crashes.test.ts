/** The controller exits after every other save, before its reply: what the calls promise holds all the same. */
import { describeTraffic } from "../api/traffic.contract.ts";

describeTraffic({ env: { MAITRED_FAULT: "crash-after-save:0.5" } });
