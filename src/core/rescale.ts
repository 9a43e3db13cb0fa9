/** Looks at the load of a backend that is scaled by it, and writes down what it asks for now. */
import type { BackendTag } from "../model/ids.ts";
import { HEAR_NODES_WINDOW_MS, LOAD_REPORT_INTERVAL_MS } from "../model/limits.ts";
import { type Load, scaleByLoad, targetReplicas } from "./autoscaling.ts";
import type { Draft } from "./draft.ts";
import { hasHeardProxies } from "./judge-goals.ts";

export const rescale = (draft: Draft, tag: BackendTag): void => {
  const { view, soft, now } = draft;
  const record = view.backend(tag);
  const config = view.config(tag);
  const known = draft.noted("scalers", tag);
  const isScaled = record?.deleting === undefined && view.instance()?.phase === "running";
  if (record === undefined || config.autoscaling === undefined || !isScaled) {
    if (known !== undefined) draft.note("scalers", tag, undefined);
    return;
  }
  const wanted = targetReplicas(record, config);
  const load: Load = { queries: soft.routers.load(tag), from: hasHeardAll(draft) ? "all" : "partial" };
  const scaling = scaleByLoad(known, { wanted, load, settings: config.autoscaling, now: now.instant });
  if (scaling.wanted !== wanted) {
    // One row: without room for it the next look finds the load again.
    if (!draft.hasRoom(1)) {
      draft.postpone(`backend/${tag}`);
      return;
    }
    draft.put("backend", tag, { ...record, autoscaled: { replicas: scaling.wanted, queries: load.queries } });
  }
  if (scaling.scaler !== known) draft.note("scalers", tag, scaling.scaler);
  if (scaling.again !== undefined) draft.wakeAt(`backend/${tag}`, scaling.again);
  else if (load.from === "partial") draft.wakeAt(`backend/${tag}`, now.instant + LOAD_REPORT_INTERVAL_MS);
};

/** Proxies are known; other routers have dialled in by then, or are none. */
const hasHeardAll = ({ view, soft, now }: Draft): boolean =>
  (soft.life.first || now.instant >= soft.life.startedAt + HEAR_NODES_WINDOW_MS) && hasHeardProxies(view, soft);
