/** What one release costs: Temporal's histories, the API server's writes, time. */
import type { Client } from "@temporalio/client";
import { readAuditLog } from "../test/support/audit-log.ts";
import { openService, SERVICE, type Installation, type Work } from "./service.ts";

export type Cost = {
  /** Of Temporal's histories. */
  events: { order: number; app: number; total: number };
  /** Activities by their name: what was called, whatever the number of tries. */
  calls: Record<string, number>;
  /** Writes by Cellwright that the API server accepted, by resource. `patches`: those of pods. */
  writes: Record<string, number>;
  patches: number;
  /** From the start to the order's end, ms. */
  duration: number;
};

/** Deploys a service at tag 1 and then releases tag 2 in place; answers with the cost of the latter. */
export async function measureRelease(installation: Installation, work: Work): Promise<Cost> {
  const { temporal, kubernetes } = installation;
  const service = await openService(installation, work);
  await service.release({ tag: "1" });
  const order = await service.plan({ tag: "2" });
  const begin = Date.now();
  await service.start(order);
  await service.reach(order, "SUCCEEDED");
  const duration = Date.now() - begin;
  const [own, app] = [
    await readHistory(temporal, order.workflowId),
    await readHistory(temporal, `${order.workflowId}/${SERVICE}`),
  ];
  const writes: Record<string, number> = {};
  for (const record of readAuditLog(kubernetes.auditLog, { namespace: service.namespace, user: "cellwright" })) {
    if (record.receivedAt < begin || record.status >= 300) continue;
    writes[record.resource] = (writes[record.resource] ?? 0) + 1;
  }
  return {
    events: { order: own.events, app: app.events, total: own.events + app.events },
    calls: count([...own.calls, ...app.calls]),
    writes,
    patches: writes["pods"] ?? 0,
    duration,
  };
}

function count(names: string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** Of a closed workflow that has not continued as new: releases of this size do not. */
async function readHistory(temporal: Client, workflowId: string): Promise<{ events: number; calls: string[] }> {
  const handle = temporal.workflow.getHandle(workflowId);
  // The order's record ends a moment before its workflow does.
  await handle.result();
  const events = (await handle.fetchHistory()).events ?? [];
  if (events[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId) {
    throw new Error(`${workflowId} has continued as new: its last history is not the whole`);
  }
  const calls = events.flatMap(
    ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name ?? [],
  );
  return { events: events.length, calls };
}
