/** The controller exits after every other save, before its reply: what the calls promise holds all the same, only later. */
import { vi } from "vitest";
import { describeUpdates } from "../api/updates.contract.ts";

vi.setConfig({ testTimeout: 60_000 });

describeUpdates({ env: { MAITRED_FAULT: "crash-after-save:0.5" } });
