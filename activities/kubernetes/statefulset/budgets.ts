/** What disruption budgets do to a group. */
import type { Row } from "./rows.ts";

/**
 * The group's pods that only disruption budgets keep from being evicted, and since when all of them have been (ms since
 * epoch); undefined while others of the group are on their way: their coming back may be what a budget waits for.
 */
export function heldByBudgets(group: readonly Row[], now: number): { rows: Row[]; since: number } | undefined {
  const open = group.filter((row) => row.enrolled && row.judgement.kind !== "updated");
  const refusals = open.map((row) => ({ row, refusal: row.part?.hands.budgets.get(row.name) }));
  if (open.length === 0 || refusals.some(({ refusal }) => refusal === undefined)) return undefined;
  return {
    rows: open,
    since: Math.max(...refusals.map(({ refusal }) => refusal?.since ?? now)),
  };
}

/** What the budgets say, and who can lift it. */
export function budgetReason(refused: readonly Row[]): string {
  const byMessage = Map.groupBy(refused, (row) => row.part?.hands.budgets.get(row.name)?.message ?? "");
  const parts = [...byMessage].map(([message, rows]) => {
    const names = rows.slice(0, 3).map((row) => row.name);
    const more = rows.length > 3 ? ` and ${rows.length - 3} more` : "";
    const namespace = rows[0]?.part?.desired.placement.namespace ?? "";
    return `${whose(message, namespace)} not let ${names.join(", ")}${more} go: ${message.replace(/[. ]+$/, "")}`;
  });
  return `${parts.join(". ")}. Bring missing pods of the service back, or have the owner of the budget allow more disruption, then retry`;
}

function whose(message: string, namespace: string): string {
  const name = /disruption budget (\S+)/i.exec(message)?.[1];
  return name === undefined
    ? `Disruption budgets in namespace ${namespace} do`
    : `The disruption budget ${namespace}/${name} does`;
}
