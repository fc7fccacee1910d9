import Type from "typebox";
import { listAuditRecords } from "../../db/repositories/audit.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { listAnswer, listOf, ListQuery, pageRequest } from "../lists.ts";
import { responses } from "../plugins/openapi.ts";
import { pathOf } from "../request.ts";

const AuditRecord = Type.Object({
  id: Type.Integer(),
  at: Type.String({ format: "date-time" }),
  actor: Type.Optional(Type.String({ description: "Absent when the caller could not be identified" })),
  method: Type.String(),
  resource: Type.String({ description: "Path of the call" }),
  sourceIp: Type.String(),
  requestId: Type.String(),
  idempotencyKey: Type.Optional(Type.String()),
  status: Type.Integer({ description: "HTTP status of the answer" }),
  problem: Type.Optional(Type.String({ description: "Type of the problem with which the call was refused" })),
});

const text = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 2048, description }));
const AuditQuery = Type.Object(
  {
    ...ListQuery.properties,
    actor: text("the subject of a token"),
    resource: text("a path, or the beginning of one"),
    requestId: text("the id of a request"),
  },
  { additionalProperties: false },
);

export function auditRecordRoutes(app: App, { database: { db } }: AppDependencies): void {
  app.get(
    "/audit-records",
    {
      config: { access: "read" },
      schema: {
        summary: "List who changed what, or was refused to, newest first",
        tags: ["audit"],
        querystring: AuditQuery,
        response: responses("read", { 200: listOf(AuditRecord) }),
      },
    },
    async (request) => {
      const { actor, resource, requestId } = request.query;
      const list = pathOf(request);
      const page = await listAuditRecords(
        db,
        { actor, resource, requestId },
        pageRequest(list, "number", request.query),
      );
      return listAnswer(list, page, (each) => each.id);
    },
  );
}
