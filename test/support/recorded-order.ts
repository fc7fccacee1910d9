/** Orders that only exist as records, for what reads them: their events are appended as an order's workflows do it. */
import type { DatabaseHandle } from "../../db/client.ts";
import { appendEvents } from "../../db/repositories/order-events.ts";
import { insertOrder } from "../../db/repositories/orders.ts";
import { workspaceGroups } from "../../db/schema/index.ts";
import type { RecordedEvent } from "../../domain/pipeline/model.ts";
import type { PipelineStateName } from "../../domain/pipeline/states.ts";

export type RecordedOrder = {
  id: string;
  /** Path of its events. */
  path: string;
  /** Appends events of the order itself, or of an app in it, in one transaction. */
  append(events: RecordedEvent[], app?: string): Promise<void>;
  /** Appends so many events about tasks. */
  tasks(count: number, options?: { app?: string; reason?: string }): Promise<void>;
  /** Appends that the order, or an app in it, has come to a state. */
  state(state: PipelineStateName, app?: string): Promise<void>;
};

export async function recordOrder({ db }: DatabaseHandle, id: string): Promise<RecordedOrder> {
  await db.insert(workspaceGroups).values({ name: "shop" }).onConflictDoNothing();
  const request = { type: "GROUPED", dependencies: [], apps: [{ service: "cart", revision: 1 }] };
  const workflowId = `release/${id}`;
  await insertOrder(db, {
    id,
    kind: "release",
    workflowId,
    workspaceGroup: "shop",
    title: id,
    creator: "ann",
    request,
  });
  const written = new Map<string, number>();
  const append: RecordedOrder["append"] = async (events, app) => {
    const stream = app === undefined ? workflowId : `${workflowId}/${app}`;
    const first = (written.get(stream) ?? 0) + 1;
    written.set(stream, first + events.length - 1);
    const about = app === undefined ? {} : { subject: app };
    await db.transaction((tx) => appendEvents(tx, { orderId: id, stream, ...about, first, events }));
  };
  return {
    id,
    path: `/api/v1/release-orders/${id}/events`,
    append,
    async tasks(count, { app, reason } = {}) {
      const events = Array.from({ length: count }, (_, index): RecordedEvent => ({
        type: "taskChanged",
        at: Date.now(),
        task: `1.task.${index}`,
        state: "RUNNING",
        attempt: 1,
        ...(reason !== undefined && { reason }),
      }));
      await append(events, app);
    },
    state: (state, app) =>
      append([{ type: "pipelineChanged", at: Date.now(), state, committed: true, allowed: [] }], app),
  };
}
