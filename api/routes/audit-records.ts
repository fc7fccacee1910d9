import Type from "typebox";
import { listAuditRecords } from "../../db/repositories/audit.ts";
import { WorkspaceGroupName } from "../../domain/catalogue/names.ts";
import { accessOf, assertVisible } from "../access/authorise.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { listAnswer, listOf, ListQuery, pageRequest } from "../lists.ts";
import { responses } from "../plugins/openapi.ts";
import { Problem } from "../problem.ts";
import { pathOf } from "../request.ts";

const AuditRecord = Type.Object({
  id: Type.Integer(),
  at: Type.String({ format: "date-time" }),
  actor: Type.Optional(Type.String({ description: "Absent when the caller could not be identified" })),
  method: Type.String(),
  resource: Type.String({ description: "Path of the call" }),
  workspaceGroup: Type.Optional(
    Type.String({ description: "The group that the call concerned or named, where that was known" }),
  ),
  sourceIp: Type.String(),
  requestId: Type.String(),
  idempotencyKey: Type.Optional(Type.String()),
  status: Type.Integer({ description: "HTTP status of the answer" }),
  problem: Type.Optional(Type.String({ description: "Type of the problem with which the call was refused" })),
});

/** Outcomes that can be asked for, and their statuses. */
const OUTCOMES = { success: [200, 299], refused: [400, 499], denied: [401, 403], failed: [500, 599] } as const;

const text = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 2048, description }));
const instant = (description: string) =>
  Type.Optional(
    Type.String({
      pattern: "^\\d{4}-\\d\\d-\\d\\d(T\\d\\d:\\d\\d(:\\d\\d(\\.\\d{1,6})?)?(Z|[+-]\\d\\d:\\d\\d))?$",
      description: `${description}: a date, 2026-01-31, or an instant with its zone, 2026-01-31T12:00:00Z`,
    }),
  );
const AuditQuery = Type.Object(
  {
    ...ListQuery.properties,
    actor: text("the subject of a token"),
    resource: text("a path, or the beginning of one"),
    method: Type.Optional(
      Type.Enum(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], {
        description: "a method; reading calls leave a record only when they were denied",
      }),
    ),
    workspaceGroup: Type.Optional(WorkspaceGroupName),
    outcome: Type.Optional(
      Type.Enum(["success", "refused", "denied", "failed"], {
        description: "success (2xx), refused (4xx), denied (401 to 403, a part of refused) or failed (5xx)",
      }),
    ),
    problem: Type.Optional(
      Type.String({
        pattern: "^(/problems/)?[a-z-]{1,64}$",
        description: "the type of a problem, such as /problems/forbidden",
      }),
    ),
    from: instant("the earliest time"),
    to: instant("the time before which"),
    requestId: text("the id of a request"),
  },
  { additionalProperties: false },
);

export function auditRecordRoutes(app: App, { database: { db } }: AppDependencies): void {
  app.get(
    "/audit-records",
    {
      config: { permission: "audit.read" },
      schema: {
        summary: "Search who changed what, or was refused to, newest first",
        description:
          "Operators and administrators of workspace groups see the records of their groups; administrators everywhere " +
          "see all, also those that concern no group.",
        tags: ["audit"],
        querystring: AuditQuery,
        response: responses("read", { 200: listOf(AuditRecord) }, 404),
      },
    },
    async (request) => {
      const { actor, resource, method, workspaceGroup, outcome, problem, requestId, from, to } = request.query;
      const list = pathOf(request);
      const visible = accessOf(request).groups;
      if (workspaceGroup !== undefined && visible !== "all") await assertVisible(db, request, workspaceGroup);
      const filter = {
        actor,
        resource,
        method,
        workspaceGroup,
        requestId,
        status: outcome === undefined ? undefined : OUTCOMES[outcome],
        problem: problem === undefined ? undefined : `/problems/${problem.replace("/problems/", "")}`,
        from: timeIn("from", from),
        to: timeIn("to", to),
      };
      const page = await listAuditRecords(db, visible, filter, pageRequest(list, "number", request.query));
      return listAnswer(list, page, (each) => each.id);
    },
  );
}

/** @throws Problem for a time that the calendar does not have */
function timeIn(name: string, value: string | undefined): Date | undefined {
  if (value === undefined) return undefined;
  const time = new Date(value);
  // A date takes a 31 February for a day in March: only a day that it gives back unchanged is one.
  const day = new Date(`${value.slice(0, 10)}T00:00:00Z`);
  const isDay = !Number.isNaN(day.getTime()) && day.toISOString().startsWith(value.slice(0, 10));
  if (isDay && !Number.isNaN(time.getTime()) && time.getUTCFullYear() > 0) return time;
  const message = "is no time of the calendar";
  throw new Problem("malformed-request", `query:${name} ${message}.`, {
    errors: [{ field: `query:${name}`, message }],
  });
}
