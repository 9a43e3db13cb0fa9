import { describeDeploys } from "./deploys.contract.ts";

describeDeploys({});
