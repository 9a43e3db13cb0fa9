import { describe, expect, test } from "vitest";
import { RETRY_BUDGET_MIN_PER_SECOND, RETRY_BUDGET_SHARE } from "../model/limits.ts";
import { RetryBudget } from "./retry-budget.ts";

const spendAll = (budget: RetryBudget, now: number): number => {
  let spent = 0;
  while (budget.spend(now)) spent += 1;
  return spent;
};

describe("the retry budget", () => {
  test("gives a few a second without traffic, and does not save for ever", () => {
    const budget = new RetryBudget(0);
    spendAll(budget, 0);
    expect(spendAll(budget, 1_000)).toBe(RETRY_BUDGET_MIN_PER_SECOND);
    expect(spendAll(budget, 1_000_000)).toBe(RETRY_BUDGET_MIN_PER_SECOND * 10);
  });

  test("gives a share of the queries that were sent", () => {
    const budget = new RetryBudget(0);
    spendAll(budget, 0);
    for (let sent = 0; sent < 100; sent += 1) budget.earn();
    expect(Math.abs(spendAll(budget, 0) - 100 * RETRY_BUDGET_SHARE)).toBeLessThanOrEqual(1);
  });
});
