import { describeHandles } from "./handles.contract.ts";

describeHandles({});
