/** What differs between two revisions, and what releasing one would change. */
import Type from "typebox";
import { readPlacedRevision } from "../../db/repositories/placements.ts";
import { readLive } from "../../db/repositories/releases.ts";
import { getRevision } from "../../db/repositories/revisions.ts";
import { compareManifests, compareRevisions, Comparison, type Placed } from "../../domain/revision/comparison.ts";
import { specOf } from "../../domain/revision/document.ts";
import { unsettledBy } from "../../domain/revision/live.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { responses, type Tag } from "../plugins/openapi.ts";
import { refused } from "../problem.ts";
import { missing } from "./named.ts";
import { itemParams } from "./revisions.ts";

const tags: Tag[] = ["applications"];
const path = "/workspace-groups/:group/app-services/:service/revisions/:number";
const Format = Type.Object(
  {
    format: Type.Optional(
      Type.Enum(["json", "kubernetes"], {
        default: "json",
        description: "json, or kubernetes: a unified diff of the manifests of every cell, as text",
      }),
    ),
  },
  { additionalProperties: false },
);
const answers = Type.Unsafe({
  description: "The comparison; text with format=kubernetes",
  content: { "application/json": { schema: Comparison }, "text/plain": { schema: Type.String() } },
});
const masks = "Values of environment variables and of annotations are not shown.";

export function revisionComparisonRoutes(app: App, { database: { db }, tenant }: AppDependencies): void {
  app.get(
    `${path}/diff/:other`,
    {
      config: { permission: "revisions.read" },
      schema: {
        summary: "Compare two revisions of an app service",
        description: masks,
        tags,
        params: Type.Object({ ...itemParams.properties, other: itemParams.properties.number }),
        querystring: Format,
        response: responses("read", { 200: answers }, 404),
      },
    },
    async (request, reply) => {
      const { group, service, number, other } = request.params;
      const from = await placed(group, service, number);
      const to = await placed(group, service, other);
      if (request.query.format === "kubernetes") return reply.type("text/plain").send(compareManifests(from, to));
      return reply.send(compareRevisions(from, to));
    },
  );

  app.get(
    `${path}/changes`,
    {
      config: { permission: "revisions.read" },
      schema: {
        summary: "Compare a revision with the one that runs, by the records of orders: what releasing it changes",
        description:
          `${masks} While an order is changing the service, or after one has ended half way, nobody can say what runs: ` +
          "this is 409 then. The preview of an order looks at the clusters themselves.",
        tags,
        params: itemParams,
        querystring: Format,
        response: responses("bodiless", { 200: answers }, 404),
      },
    },
    async (request, reply) => {
      const { group, service, number } = request.params;
      const to = await placed(group, service, number);
      const live = await readLive(db, group, service);
      if (live.kind === "unsettled") {
        const why = `what runs of app service "${service}" is not certain: ${unsettledBy(live)}. Compare two revisions instead`;
        throw refused({ kind: "conflict", why });
      }
      const from = live.kind === "revision" ? await placed(group, service, String(live.number)) : undefined;
      if (request.query.format === "kubernetes") return reply.type("text/plain").send(compareManifests(from, to));
      return reply.send(compareRevisions(from, to));
    },
  );

  async function placed(group: string, service: string, number: string): Promise<Placed> {
    if ((await getRevision(db, group, service, Number(number))) === undefined) {
      throw missing(`revision ${number} of app service`, group, service);
    }
    const { revision, placements } = await readPlacedRevision(db, tenant, group, service, Number(number));
    // Without number, author and time, which are no differences.
    return { number: revision.number, spec: specOf(revision), placements };
  }
}
