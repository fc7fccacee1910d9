import { setTimeout as sleep } from "node:timers/promises";
import { elapsed, type Progress } from "./progress.ts";
import { type Rest, RestError } from "./rest.ts";

/** What is read of a release order. */
export interface ReleaseOrder {
  id: string;
  state: string;
  digest?: string | undefined;
  reason?: string | undefined;
  apps?: {
    service: string;
    state: string;
    groups?: { id: string; state: string; pods?: { name: string; cell: string; state: string }[] }[];
  }[];
  tasks?: { id: string; kind: string; state: string; reason?: string | null }[];
}

/** An order that waits for nothing a person could give, and does not move for so long, is given up on. */
const patience = 3 * 60_000;

/**
 * Starts an order that is ready, confirms whatever waits for a person, and shows each change until it has succeeded.
 * @throws when it fails, is paused or ended by somebody, or stands still for minutes.
 */
export async function driveOrder(rest: Rest, order: ReleaseOrder, progress: Progress): Promise<void> {
  const path = `/api/v1/release-orders/${order.id}`;
  const begin = Date.now();
  const shown = new Map<string, string>();
  let lastChange = begin;
  let current = order;
  progress.log(`Releasing the shop: order ${order.id}`);
  await progress.during(
    "Release",
    async () => {
      for (;;) {
        for (const line of changes(current, shown)) {
          progress.log(`  ${elapsed(begin).padStart(7)}  ${line}`);
          lastChange = Date.now();
        }
        if (current.state === "SUCCEEDED") return;
        if (stuck.has(current.state)) throw new Error(describe(current));
        if (Date.now() - lastChange > patience) throw new Error(`nothing has moved for minutes: ${describe(current)}`);
        await steer(rest, path, current);
        await sleep(300);
        current = await rest.get<ReleaseOrder>(path);
      }
    },
    () => summary(current),
  );
}

/** States that this driver does not lead an order out of: a person looks first. */
const stuck = new Set([
  "INIT_FAILED",
  "FAILED",
  "PAUSED",
  "ROLLBACK_FAILED",
  "CANCELLED",
  "ROLLED_BACK",
  "SUPERSEDED",
  "TERMINATED",
  "ABANDONED",
]);

/** Does what a person would do now. A refusal because the order has moved on meanwhile is fine: it is read again. */
async function steer(rest: Rest, path: string, order: ReleaseOrder): Promise<void> {
  try {
    if (order.state === "READY") await rest.send("POST", `${path}/actions/start`, { digest: order.digest });
    for (const task of order.tasks ?? []) {
      if (task.state !== "AWAITING_CONFIRM" || task.kind === "pipeline") continue;
      await rest.send("POST", `${path}/tasks/${encodeURIComponent(task.id)}/actions/confirm`, {});
    }
  } catch (error) {
    if (!(error instanceof RestError && error.status === 409)) throw error;
  }
}

/** One line for the order and for each group whose state or count of updated pods differs from what was shown. */
function changes(order: ReleaseOrder, shown: Map<string, string>): string[] {
  const lines: string[] = [];
  const show = (key: string, text: string): void => {
    if (shown.get(key) === text) return;
    shown.set(key, text);
    lines.push(`${key.padEnd(24)} ${text}`);
  };
  show("order", order.state);
  for (const app of order.apps ?? []) {
    const groups = app.groups ?? [];
    for (const [index, { id, state, pods = [] }] of groups.entries()) {
      if (state === "WAITING") continue;
      const updated = pods.filter((pod) => pod.state === "UPDATED").length;
      const cells = [...new Set(pods.map(({ cell }) => cell))].join(", ");
      show(
        `${app.service} ${index + 1}/${groups.length}`,
        `${state} · ${updated}/${pods.length} pods · ${cells} (${id})`,
      );
    }
  }
  return lines;
}

function summary(order: ReleaseOrder): string {
  const apps = order.apps ?? [];
  return `${order.state} · ${apps.filter(({ state }) => state === "SUCCEEDED").length}/${apps.length} services`;
}

function describe(order: ReleaseOrder): string {
  const reasons = (order.tasks ?? []).flatMap(({ id, reason }) => (reason ? [`${id}: ${reason}`] : []));
  return [`order ${order.id} is ${order.state}`, order.reason ?? "", ...reasons]
    .filter((text) => text !== "")
    .join("\n  ");
}
