import Type, { type Static } from "typebox";
import { countCatalogue, countOrders } from "../../db/repositories/dashboard.ts";
import { getGroup } from "../../db/repositories/groups.ts";
import { WorkspaceGroupName } from "../../domain/catalogue/names.ts";
import { bucketOf, BUCKETS, type Bucket } from "../../domain/dashboard/buckets.ts";
import { PIPELINE_STATES } from "../../domain/pipeline/states.ts";
import { accessOf, noGroup } from "../access/authorise.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { responses, type Tag } from "../plugins/openapi.ts";
import { Problem } from "../problem.ts";

const tags: Tag[] = ["dashboard"];
/** How long an order that has ended is still counted. Milliseconds. */
const RECENT = 24 * 60 * 60 * 1000;

const counts = (names: readonly string[], description: string) =>
  Type.Object(Object.fromEntries(names.map((name) => [name, Type.Integer({ minimum: 0 })])), { description });

const Dashboard = Type.Object({
  orders: Type.Object({
    since: Type.String({ format: "date-time", description: "Ended orders count from here on; open ones always" }),
    buckets: counts(
      BUCKETS,
      "NOT_RELEASED: not started. RELEASING: under way, paused, or on the way back. WAITING_CONFIRM: a person is " +
        "asked. ABNORMAL: failed, terminated or abandoned. Orders that were cancelled, rolled back or superseded are in none.",
    ),
    states: counts(PIPELINE_STATES, "The same orders, and those in no bucket, by their state"),
  }),
  workspaceGroups: Type.Integer({ minimum: 0 }),
  services: Type.Integer({ minimum: 0 }),
  cells: Type.Integer({ minimum: 0 }),
  clusters: Type.Integer({ minimum: 0, description: "Those on which cells of these groups lie" }),
});
type Dashboard = Static<typeof Dashboard>;

export function dashboardRoutes(app: App, { database: { db } }: AppDependencies): void {
  app.get(
    "/dashboard",
    {
      config: { permission: "dashboard.read" },
      schema: {
        summary: "Count orders, services, cells and clusters of all groups that one may read",
        tags,
        response: responses("read", { 200: Dashboard }),
      },
    },
    async (request) => read(accessOf(request).groups),
  );

  app.get(
    "/workspace-groups/:group/dashboard",
    {
      config: { permission: "dashboard.read" },
      schema: {
        summary: "Count orders, services, cells and clusters of a workspace group",
        tags,
        params: Type.Object({ group: WorkspaceGroupName }),
        response: responses("read", { 200: Dashboard }, 404),
      },
    },
    async (request) => {
      const { group } = request.params;
      if ((await getGroup(db, group)) === undefined) throw new Problem("not-found", noGroup(group));
      return read([group]);
    },
  );

  async function read(groups: "all" | readonly string[]): Promise<Dashboard> {
    const since = new Date(Date.now() - RECENT);
    const [rows, catalogue] = await Promise.all([countOrders(db, groups, since), countCatalogue(db, groups)]);
    const buckets = Object.fromEntries(BUCKETS.map((bucket) => [bucket, 0])) as Record<Bucket, number>;
    const states: Record<string, number> = Object.fromEntries(PIPELINE_STATES.map((state) => [state, 0]));
    for (const row of rows) {
      states[row.state] = row.orders;
      const bucket = bucketOf(row.state);
      if (bucket !== undefined) buckets[bucket] += row.orders;
    }
    return { orders: { since: since.toISOString(), buckets, states }, ...catalogue };
  }
}
