/** The controller exits after every other save, before its reply: what the calls promise holds all the same. */
import { describeHandles } from "../api/handles.contract.ts";

describeHandles({ env: { MAITRED_FAULT: "crash-after-save:0.5" } });
