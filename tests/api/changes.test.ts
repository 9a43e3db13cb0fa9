import { describeChanges } from "./changes.contract.ts";

describeChanges({});
