import { describe, expect, test } from "vitest";
import { ClusterError, fromStatus } from "../../../activities/kubernetes/errors.ts";
import { budgetReason, heldByBudgets } from "../../../activities/kubernetes/statefulset/budgets.ts";
import type { Row } from "../../../activities/kubernetes/statefulset/rows.ts";

const SAID = "The disruption budget cart-stays needs 4 healthy pods and has 4 currently";

/** As the API server answers an eviction that it refuses. */
const refusal = (status: number, message: string, causes: object[] = []) =>
  fromStatus(status, JSON.stringify({ kind: "Status", message, details: { causes } }), {}, "evict", "east");

const row = (name: string, kind: "old" | "changing" | "updated", budgets: Map<string, object>): Row =>
  ({
    name,
    inGroup: true,
    enrolled: true,
    judgement: { kind },
    part: { hands: { budgets }, desired: { placement: { namespace: "shop" } } },
  }) as unknown as Row;

describe("disruption budgets", () => {
  test("a refusal is told from a busy server", () => {
    const refused = refusal(429, "Cannot evict pod", [{ reason: "DisruptionBudget", message: SAID }]);
    expect(refused).toMatchObject({ type: "ClusterBusy", outcome: "refused", budget: SAID });
    expect(refusal(429, "too many requests").budget).toBeUndefined();
  });

  test("several budgets on one pod are no failure of the server", () => {
    const message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
    const refused = refusal(500, message);
    expect(refused).toMatchObject({ outcome: "refused", budget: message });
    expect(refusal(500, "etcd timed out")).toMatchObject({ outcome: "unknown", budget: undefined });
    expect(refused).toBeInstanceOf(ClusterError);
  });

  test("block only when nothing of the group is on its way, since the last of them was refused", () => {
    const budgets = new Map([
      ["p0", { message: SAID, since: 100 }],
      ["p1", { message: SAID, since: 200 }],
    ]);
    const refused = [row("p0", "old", budgets), row("p1", "old", budgets)];
    expect(heldByBudgets([...refused, row("p2", "changing", budgets)], 300)).toBeUndefined();
    expect(heldByBudgets([...refused, row("p2", "updated", budgets)], 300)).toEqual({ rows: refused, since: 200 });
    expect(heldByBudgets([row("p2", "updated", budgets)], 300)).toBeUndefined();
  });

  test("say which, what, and what to do", () => {
    const budgets = new Map(["p0", "p1", "p2", "p3"].map((name) => [name, { message: `${SAID}.`, since: 0 }]));
    expect(budgetReason([...budgets.keys()].map((name) => row(name, "old", budgets)))).toBe(
      `The disruption budget shop/cart-stays does not let p0, p1, p2 and 1 more go: ${SAID}. Bring missing pods of the service back, or have the owner of the budget allow more disruption, then retry`,
    );
  });
});
