import { sql } from "drizzle-orm";
import { bigint, check, index, integer, jsonb, pgTable, primaryKey, text, timestamp } from "drizzle-orm/pg-core";
import type { Role } from "../../domain/access/roles.ts";
import { workspaceGroups } from "./catalogue.ts";

/** Who has which role in a workspace group. They go with their group: one that is made anew begins without any. */
export const roleBindings = pgTable(
  "role_bindings",
  {
    workspaceGroup: text("workspace_group")
      .notNull()
      .references(() => workspaceGroups.name, { onDelete: "cascade" }),
    name: text("name").notNull(),
    /** Of tokens. Either this or `groupClaim`. */
    subject: text("subject"),
    /** A value of the tokens' claim of groups. */
    groupClaim: text("group_claim"),
    role: text("role").$type<Role>().notNull(),
    /** Names of applications; null: all of the group. */
    applications: text("applications").array(),
    version: integer("version").notNull().default(1),
    createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.workspaceGroup, table.name] }),
    check("role_bindings_one_principal", sql`num_nonnulls(${table.subject}, ${table.groupClaim}) = 1`),
    index("role_bindings_by_subject").on(table.subject),
    index("role_bindings_by_group_claim").on(table.groupClaim),
  ],
);

/** One row for every call that changed something, or was refused to. Append-only; old ones go by age. */
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
    /** The group that the call concerns, once that is known. No reference: records outlive their group. */
    workspaceGroup: text("workspace_group"),
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
    index("audit_records_by_group").on(table.workspaceGroup, table.id),
    index("audit_records_by_time").on(table.at),
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
  (table) => [
    primaryKey({ columns: [table.subject, table.route, table.key] }),
    index("idempotency_keys_by_time").on(table.createdAt),
  ],
);
