import { bigint, index, integer, jsonb, pgTable, primaryKey, text, timestamp } from "drizzle-orm/pg-core";

/** One row for every call that changed something, or was refused to. Append-only. */
export const auditRecords = pgTable(
  "audit_records",
  {
    id: bigint("id", { mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    at: timestamp("at", { withTimezone: true }).notNull().defaultNow(),
    /** Subject of the token; absent when nobody could be identified. */
    actor: text("actor"),
    method: text("method").notNull(),
    /** Path of the call, without its query. */
    resource: text("resource").notNull(),
    sourceIp: text("source_ip").notNull(),
    requestId: text("request_id").notNull(),
    idempotencyKey: text("idempotency_key"),
    /** HTTP status of the answer. */
    status: integer("status").notNull(),
    /** Type of the problem with which the call was refused. */
    problem: text("problem"),
  },
  (table) => [
    index("audit_records_by_resource").on(table.resource, table.id),
    index("audit_records_by_actor").on(table.actor, table.id),
  ],
);

/** The first answer to each keyed call, so that repeating the call repeats the answer instead of the work. */
export const idempotencyKeys = pgTable(
  "idempotency_keys",
  {
    subject: text("subject").notNull(),
    /** Method and path. */
    route: text("route").notNull(),
    key: text("key").notNull(),
    bodyHash: text("body_hash").notNull(),
    status: integer("status"),
    body: jsonb("body").$type<unknown>(),
    createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.subject, table.route, table.key] })],
);
