/** The controller exits after every other save, before its reply: a deploy is one change all the same. */
import { describeDeploys } from "../api/deploys.contract.ts";

describeDeploys({ env: { MAITRED_FAULT: "crash-after-save:0.5" } });
