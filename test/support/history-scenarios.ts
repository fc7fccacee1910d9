/** One order of each kind of life, small, for the histories that it leaves. */
import { fetchRuns } from "./namespace.ts";
import type { Client } from "./client.ts";
import type { Product } from "./product.ts";
import type { HistoryJson, StoredHistory } from "./replay.ts";
import { createShop, type Shop } from "./shop.ts";

/** A value of an environment variable of every scenario's revisions: no history may hold it. */
export const SECRET = "a-value-that-no-history-may-hold";

type Scenario = {
  release: NonNullable<Parameters<Shop["revision"]>[1]["release"]>;
  /** Tag of the revision that is released. */
  tag?: string;
  live(client: Client, order: string): Promise<unknown>;
};

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  confirmed: {
    release: { minGroups: 2, beta: true, pause: "ALL" },
    live: (client, order) => client.drive(order),
  },
  recreated: {
    release: { minGroups: 2, beta: true, pause: "OFF", upgrade: "RECREATE" },
    live: (client, order) => client.drive(order),
  },
  paused: {
    release: { minGroups: 2, beta: true, pause: "FIRST" },
    async live(client, order) {
      await client.waitFor(order, "AWAITING_CONFIRM");
      await client.act(order, "pause", { reason: "lunch" });
      await client.act(order, "resume");
      await client.drive(order);
    },
  },
  retried: {
    release: { minGroups: 2, beta: true, pause: "OFF", progressDeadlineSeconds: 5 },
    tag: "bad",
    async live(client, order) {
      await client.waitFor(order, "FAILED");
      await client.act(order, "retry");
      await client.waitFor(order, (now) => now.tasks.some(({ attempt, state }) => attempt === 2 && state === "FAILED"));
      await client.act(order, "terminate", { reason: "a bad image" });
    },
  },
  cancelled: {
    release: {},
    live: (client, order) => client.act(order, "cancel", { reason: "not today" }),
  },
  rolledBack: {
    release: { minGroups: 2, beta: true, pause: "ALL" },
    async live(client, order) {
      await client.waitFor(order, "AWAITING_CONFIRM");
      await client.act(order, "rollback", { reason: "too slow" });
      await client.waitFor(order, "AWAITING_ROLLBACK_CONFIRM");
      await client.act(order, "confirm-rollback");
    },
  },
  superseded: {
    release: { minGroups: 2, beta: true, pause: "ALL" },
    async live(client, order) {
      const { workspaceGroup, apps } = await client.waitFor(order, "AWAITING_CONFIRM");
      const again = apps.map(({ service, revision }) => ({ service, revision }));
      const next = await client.release({ workspaceGroup, title: "instead", apps: again, supersedes: order });
      await client.drive(next.id);
    },
  },
  terminated: {
    release: { minGroups: 2, beta: true, pause: "ALL" },
    async live(client, order) {
      await client.waitFor(order, "AWAITING_CONFIRM");
      await client.act(order, "terminate", { reason: "enough" });
    },
  },
};

/** Plays a scenario; answers with the histories of all runs of the order's workflow and of its app's, named after `as`. */
export async function playScenario(product: Product, name: string, as = name): Promise<StoredHistory[]> {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
  const { client, temporal } = product;
  const shop = await createShop(product, { services: { web: 2 } });
  await shop.revision("web", { tag: "1", level: SECRET });
  const first = await client.release(shop.body(["web"]));
  await client.drive(first.id);
  await shop.revision("web", { tag: scenario.tag ?? "2", level: SECRET, release: scenario.release });
  // What is cancelled must not have moved a pod: it is cancelled before its start.
  const { id, workflowId } =
    name === "cancelled" ? await client.order(shop.body(["web"])) : await client.release(shop.body(["web"]));
  await scenario.live(client, id);
  const histories: StoredHistory[] = [];
  for (const [part, workflow] of [
    ["order", workflowId],
    ["app", `${workflowId}/web`],
  ] as const) {
    const runs = await fetchRuns(temporal, workflow);
    histories.push(
      ...runs.map((run, index) => ({
        name: `${as}.${part}.${index + 1}.json`,
        json: withoutOrigin(run as HistoryJson),
      })),
    );
  }
  return histories;
}

/** A history without what tells of the machine that made it, and is of no use to a replay. */
function withoutOrigin(json: HistoryJson): HistoryJson {
  const text = JSON.stringify(json, (key, value: unknown) => {
    if (key === "identity") return "worker";
    return key === "stackTrace" ? undefined : value;
  });
  return JSON.parse(text) as HistoryJson;
}
