/**
 * `deploy`: brings all that one app owns to what its file says, in one transaction or not at all. What is to change is found first
 * (app-steps.ts), then everything that is wrong with it (app-problems.ts), and only then it is written, each change with a goal of its
 * own. Then the app's record says what the file said, for the next deploy to tell the file's changes from live ones.
 */
import type { AppPart } from "../../model/app.ts";
import type { GoalId } from "../../model/ids.ts";
import { MAX_DEPLOY_BYTES, MAX_DEPLOY_CHANGES } from "../../model/limits.ts";
import type { AppRecord } from "../../model/records.ts";
import { MAX_VALUE_BYTES } from "../../model/store-limits.ts";
import { isSameValue, utf8Length } from "../canonical.ts";
import type { Draft } from "../draft.ts";
import { openAlias, openGoal, openPart, openReached, partGoalId } from "../goals.ts";
import { subjectKey } from "../indexes.ts";
import type { View } from "../view.ts";
import { refuseApp } from "./app-problems.ts";
import { type AppStep, appSteps, changeOf, type DeployCall } from "./app-steps.ts";
import { ACCEPTED, type CallOutcome, refuse } from "./outcome.ts";

export const deploy = (draft: Draft, call: DeployCall): CallOutcome => {
  const { view } = draft;
  const planned = appSteps(view, call);
  const record = recordOf(call);
  const refusal = refuseApp(view, call, planned) ?? refuseRecord(record);
  if (refusal !== undefined) return refusal;

  const { steps } = planned;
  const known = view.app(call.app);
  const isSameFile = known !== undefined && isSameValue({ ...known, goal: record.goal }, record);
  const current = known === undefined ? undefined : view.goal(known.goal);
  if (steps.length === 0 && isSameFile && current?.state === "pending") {
    openAlias(draft, call, current);
    return ACCEPTED;
  }
  const before = draft.size();
  write(draft, call, steps);
  if (steps.length > 0 || !isSameFile) writeRecord(draft, record);
  return refuseSize(draft, { call, before }) ?? ACCEPTED;
};

const write = (draft: Draft, call: DeployCall, steps: readonly AppStep[]): void => {
  const changes = steps.map(changeOf);
  const own = changes.map(({ part }) => part);
  const parts = [...own.map((part) => partGoalId(call.goalId, part)), ...partsUnderWay(draft.view, call, own)];
  const subject = { kind: "app", app: call.app, changes, parts } as const;
  if (parts.length === 0) {
    openReached(draft, call, subject);
    return;
  }
  openGoal(draft, call, subject);
  for (const [index, step] of steps.entries()) {
    const part = own[index];
    if (part === undefined) continue;
    openPart(draft, call, part);
    const goal = partGoalId(call.goalId, part);
    if (step.kind === "backend") draft.put("backend", step.tag, { ...step.after, goal });
    else if (step.after === undefined) draft.delete("endpoint", step.tag);
    else draft.put("endpoint", step.tag, { ...step.after, goal });
  }
};

/** What an earlier deploy of the app still waits for, and this one does not change: it waits for that too. */
const partsUnderWay = (view: View, call: DeployCall, own: readonly AppPart[]): GoalId[] => {
  const changed = new Set(own.map(subjectKey));
  return [...view.pendingGoalsOf(`app/${call.app}`)].flatMap((id) => {
    const subject = view.goal(id)?.subject;
    if (subject?.kind !== "app") return [];
    return subject.parts.filter((part) => {
      const goal = view.goal(part);
      return goal?.state === "pending" && !changed.has(subjectKey(goal.subject));
    });
  });
};

const recordOf = ({ app, backends, endpoints, goalId }: DeployCall): AppRecord => ({
  name: app,
  backends: Object.fromEntries(Object.entries(backends).map(([tag, { code, config }]) => [tag, { code, config }])),
  endpoints,
  goal: goalId,
});

/** An app without backends and endpoints is none. */
const writeRecord = (draft: Draft, record: AppRecord): void => {
  const isEmpty = Object.keys(record.backends).length + Object.keys(record.endpoints).length === 0;
  if (isEmpty) draft.delete("app", record.name);
  else draft.put("app", record.name, record);
};

const refuseRecord = (record: AppRecord): CallOutcome | undefined => {
  const bytes = utf8Length(JSON.stringify(record));
  if (bytes <= MAX_VALUE_BYTES) return undefined;
  return refuse(
    "value-too-large",
    `app "${record.name}": what its file says has ${bytes} bytes; at most ${MAX_VALUE_BYTES} (maxValueBytes) can be saved. Put large values into files and pass their paths, or split the app.`,
    { app: record.name, bytes, maxValueBytes: MAX_VALUE_BYTES },
  );
};

const refuseSize = (
  draft: Draft,
  { call, before }: { readonly call: DeployCall; readonly before: ReturnType<Draft["size"]> },
): CallOutcome | undefined => {
  const after = draft.size();
  const [count, bytes] = [after.changes - before.changes, after.bytes - before.bytes];
  if (count > MAX_DEPLOY_CHANGES) {
    return refuse(
      "value-too-large",
      `app "${call.app}": this deploy writes ${count} values in one transaction (each backend and endpoint that it changes, a goal for each, and the app's own record); at most ${MAX_DEPLOY_CHANGES} fit (maxTxnOps, less one). Deploy it in steps, or split the app.`,
      { app: call.app, count, maxTxnOps: MAX_DEPLOY_CHANGES },
    );
  }
  if (bytes <= MAX_DEPLOY_BYTES) return undefined;
  return refuse(
    "value-too-large",
    `app "${call.app}": this deploy writes ${bytes} bytes in one transaction; at most ${MAX_DEPLOY_BYTES} fit. Put large values into files and pass their paths, or split the app.`,
    { app: call.app, bytes, maxBytes: MAX_DEPLOY_BYTES },
  );
};
