/** The controller exits after every other save, before its reply: what the calls promise holds all the same. */
import { describeChanges } from "../api/changes.contract.ts";

describeChanges({ env: { MAITRED_FAULT: "crash-after-save:0.5" } });
