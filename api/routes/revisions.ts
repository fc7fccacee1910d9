import Type from "typebox";
import { getAppService } from "../../db/repositories/app-services.ts";
import { createRevision, deleteRevision, listRevisions, viewRevision } from "../../db/repositories/revisions.ts";
import { AppServiceName, WorkspaceGroupName } from "../../domain/catalogue/names.ts";
import { fillDefaults, RevisionBody } from "../../domain/catalogue/revision.ts";
import { revisionFaults } from "../../domain/catalogue/validate.ts";
import { RevisionView } from "../../domain/revision/types.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { listAnswer, listOf, ListQuery, pageRequest } from "../lists.ts";
import { answerDelete, caller, mutate, send } from "../mutation.ts";
import { responses, type Tag } from "../plugins/openapi.ts";
import { invalid, refused } from "../problem.ts";
import { pathOf } from "../request.ts";
import { missing, NoContent } from "./named.ts";

const tags: Tag[] = ["applications"];
/** Of one app service. */
export const serviceParams = Type.Object({ group: WorkspaceGroupName, service: AppServiceName });
/** Of one revision. */
export const itemParams = Type.Object({
  group: WorkspaceGroupName,
  service: AppServiceName,
  number: Type.String({ pattern: "^[1-9][0-9]{0,8}$", description: "a revision number, a whole number from 1 on" }),
});
const path = "/workspace-groups/:group/app-services/:service/revisions";

export const IdempotentHeaders = Type.Object({
  "idempotency-key": Type.Optional(
    Type.String({ description: "Repeating a request with the same key and body repeats its answer, not its work" }),
  ),
});

/** Body of a call that says everything by its path and headers. */
export const NoBody = Type.Optional(
  Type.Union([Type.Object({}, { additionalProperties: false }), Type.Null()], { description: "nothing, or {}" }),
);

export function revisionRoutes(app: App, { database: { db } }: AppDependencies): void {
  app.post(
    path,
    {
      config: { permission: "revisions.write" },
      schema: {
        summary:
          "Create a revision at once, without a draft: everything about an app service that is released. It never changes",
        tags,
        params: serviceParams,
        headers: IdempotentHeaders,
        body: RevisionBody,
        response: responses("body", { 201: RevisionView }, 404),
      },
    },
    async (request, reply) => {
      const { group, service } = request.params;
      const faults = revisionFaults(service, request.body);
      if (faults.length > 0) throw invalid(faults);
      const spec = fillDefaults(request.body);
      const createdBy = caller(request).subject;
      const answer = await mutate(db, request, async (tx) => {
        const outcome = await createRevision(tx, { group, service, spec, createdBy });
        if (outcome.kind !== "created") throw refused(outcome);
        return { status: 201, body: outcome.value };
      });
      return send(reply, answer);
    },
  );

  app.get(
    path,
    {
      config: { permission: "revisions.read" },
      schema: {
        summary: "List the revisions of an app service, newest first",
        tags,
        params: serviceParams,
        querystring: ListQuery,
        response: responses("read", { 200: listOf(RevisionView) }, 404),
      },
    },
    async (request) => {
      const { group, service } = request.params;
      const list = pathOf(request);
      const page = await listRevisions(db, group, service, pageRequest(list, "integer", request.query));
      if (page.items.length === 0 && (await getAppService(db, group, service)) === undefined) {
        throw missing("app service", group, service);
      }
      return listAnswer(list, page, (each) => each.number);
    },
  );

  app.get(
    `${path}/:number`,
    {
      config: { permission: "revisions.read" },
      schema: {
        summary: "Read a revision",
        tags,
        params: itemParams,
        response: responses("read", { 200: RevisionView }, 404),
      },
    },
    async (request) => {
      const { group, service, number } = request.params;
      const found = await viewRevision(db, group, service, Number(number));
      if (found === undefined) throw missing(`revision ${number} of app service`, group, service);
      return found;
    },
  );

  app.delete(
    `${path}/:number`,
    {
      config: { permission: "revisions.write" },
      schema: {
        summary: "Delete a revision to which nothing refers; its number is not given again",
        tags,
        params: itemParams,
        response: responses("bodiless", { 204: NoContent }, 404),
      },
    },
    async (request, reply) => {
      const { group, service, number } = request.params;
      const answer = await mutate(db, request, async (tx) =>
        answerDelete(await deleteRevision(tx, group, service, Number(number))),
      );
      return send(reply, answer);
    },
  );
}
