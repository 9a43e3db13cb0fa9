import { describeUpdates } from "./updates.contract.ts";

describeUpdates({});
