import {
  customType,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
} from "drizzle-orm/pg-core";
import type { RevisionSpec } from "../../domain/catalogue/revision.ts";

const bytes = customType<{ data: Buffer }>({ dataType: () => "bytea" });

const createdAt = timestamp("created_at", { withTimezone: true }).notNull().defaultNow();
const stamps = {
  /** Optimistic lock: grows by one with every change. */
  version: integer("version").notNull().default(1),
  createdAt,
  updatedAt: timestamp("updated_at", { withTimezone: true }).notNull().defaultNow(),
};

export const workspaceGroups = pgTable("workspace_groups", {
  name: text("name").primaryKey(),
  description: text("description"),
  ...stamps,
});

const workspaceGroup = text("workspace_group")
  .notNull()
  .references(() => workspaceGroups.name, { onDelete: "restrict" });

export const workspaces = pgTable(
  "workspaces",
  {
    workspaceGroup,
    name: text("name").notNull(),
    region: text("region").notNull(),
    displayName: text("display_name"),
    description: text("description"),
    ...stamps,
  },
  (table) => [primaryKey({ columns: [table.workspaceGroup, table.name] })],
);

export const clusters = pgTable("clusters", {
  name: text("name").primaryKey(),
  access: text("access").$type<"kubeconfig">().notNull(),
  server: text("server").notNull(),
  fingerprint: text("fingerprint").notNull(),
  /** Sealed by `encryption.ts`; opened only by `readKubeconfig`. */
  kubeconfig: bytes("kubeconfig").notNull(),
  ...stamps,
});

export const cells = pgTable(
  "cells",
  {
    workspaceGroup,
    name: text("name").notNull(),
    workspace: text("workspace").notNull(),
    zone: text("zone").notNull(),
    az: text("az").notNull(),
    cluster: text("cluster")
      .notNull()
      .references(() => clusters.name, { onDelete: "restrict" }),
    nodeSelector: jsonb("node_selector").$type<Record<string, string>>().notNull(),
    ...stamps,
  },
  (table) => [
    primaryKey({ columns: [table.workspaceGroup, table.name] }),
    foreignKey({
      columns: [table.workspaceGroup, table.workspace],
      foreignColumns: [workspaces.workspaceGroup, workspaces.name],
    }).onDelete("restrict"),
    index("cells_by_cluster").on(table.cluster),
    index("cells_by_workspace").on(table.workspaceGroup, table.workspace),
  ],
);

export const applications = pgTable(
  "applications",
  {
    workspaceGroup,
    name: text("name").notNull(),
    owner: text("owner").notNull(),
    description: text("description"),
    ...stamps,
  },
  (table) => [primaryKey({ columns: [table.workspaceGroup, table.name] })],
);

export const appServices = pgTable(
  "app_services",
  {
    workspaceGroup,
    name: text("name").notNull(),
    application: text("application").notNull(),
    namespace: text("namespace").notNull(),
    kind: text("kind").$type<"StatefulSet">().notNull(),
    description: text("description"),
    /** Highest revision number ever given: numbers are not given again, even when a revision is deleted. */
    lastRevision: integer("last_revision").notNull().default(0),
    ...stamps,
  },
  (table) => [
    primaryKey({ columns: [table.workspaceGroup, table.name] }),
    foreignKey({
      columns: [table.workspaceGroup, table.application],
      foreignColumns: [applications.workspaceGroup, applications.name],
    }).onDelete("restrict"),
    index("app_services_by_application").on(table.workspaceGroup, table.application),
  ],
);

/** Never updated: an edit is a new revision. */
export const revisions = pgTable(
  "revisions",
  {
    workspaceGroup: text("workspace_group").notNull(),
    service: text("service").notNull(),
    number: integer("number").notNull(),
    spec: jsonb("spec").$type<RevisionSpec>().notNull(),
    createdBy: text("created_by").notNull(),
    createdAt,
  },
  (table) => [
    primaryKey({ columns: [table.workspaceGroup, table.service, table.number] }),
    foreignKey({
      columns: [table.workspaceGroup, table.service],
      foreignColumns: [appServices.workspaceGroup, appServices.name],
    }).onDelete("restrict"),
  ],
);

/** At most one per app service: what may become its next revision. */
export const revisionDrafts = pgTable(
  "revision_drafts",
  {
    workspaceGroup: text("workspace_group").notNull(),
    service: text("service").notNull(),
    spec: jsonb("spec").$type<RevisionSpec>().notNull(),
    /** Number of the revision that it was copied from, if any. */
    base: integer("base"),
    createdBy: text("created_by").notNull(),
    updatedBy: text("updated_by").notNull(),
    ...stamps,
  },
  (table) => [
    primaryKey({ columns: [table.workspaceGroup, table.service] }),
    foreignKey({
      name: "revision_drafts_service_fk",
      columns: [table.workspaceGroup, table.service],
      foreignColumns: [appServices.workspaceGroup, appServices.name],
    }).onDelete("restrict"),
  ],
);

/**
 * App services that were deleted. A new one of the same name counts its revisions on from there: the records of orders
 * name revisions by number, and a number must never mean two things.
 */
export const deletedAppServices = pgTable(
  "deleted_app_services",
  {
    workspaceGroup: text("workspace_group")
      .notNull()
      .references(() => workspaceGroups.name, { onDelete: "cascade" }),
    name: text("name").notNull(),
    lastRevision: integer("last_revision").notNull(),
    deletedAt: timestamp("deleted_at", { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.workspaceGroup, table.name] })],
);

/** Which cells a revision names: lets the database itself keep them from being deleted. */
export const revisionCells = pgTable(
  "revision_cells",
  {
    workspaceGroup: text("workspace_group").notNull(),
    service: text("service").notNull(),
    number: integer("number").notNull(),
    cell: text("cell").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.workspaceGroup, table.service, table.number, table.cell] }),
    foreignKey({
      name: "revision_cells_revision_fk",
      columns: [table.workspaceGroup, table.service, table.number],
      foreignColumns: [revisions.workspaceGroup, revisions.service, revisions.number],
    }).onDelete("cascade"),
    foreignKey({
      name: "revision_cells_cell_fk",
      columns: [table.workspaceGroup, table.cell],
      foreignColumns: [cells.workspaceGroup, cells.name],
    }).onDelete("restrict"),
    index("revision_cells_by_cell").on(table.workspaceGroup, table.cell),
  ],
);
