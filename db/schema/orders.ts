import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
} from "drizzle-orm/pg-core";
import type { AnyPgColumn } from "drizzle-orm/pg-core";
import type { RecordedEvent, TurnStanding } from "../../domain/pipeline/model.ts";
import type { PipelineStateName, TaskKind, TaskState } from "../../domain/pipeline/states.ts";
import type { Json, TaskDefinition } from "../../domain/pipeline/task.ts";
import type { PodChange } from "../../domain/workload/planned.ts";
import type { PodState } from "../../domain/workload/pod-state.ts";
import { revisions, workspaceGroups } from "./catalogue.ts";

/** One row per order. State and digest are projections of its events; the running order's truth is its workflow. */
export const orders = pgTable(
  "orders",
  {
    id: text("id").primaryKey(),
    kind: text("kind").notNull(),
    /** Id of the order's workflow. */
    workflowId: text("workflow_id").notNull().unique(),
    workspaceGroup: text("workspace_group")
      .notNull()
      .references(() => workspaceGroups.name, { onDelete: "restrict" }),
    title: text("title").notNull(),
    /** What was asked for, in the shape of its kind. */
    request: jsonb("request").notNull(),
    creator: text("creator").notNull(),
    /** The order whose place it takes at its start, with its locks. */
    supersedes: text("supersedes").references((): AnyPgColumn => orders.id, { onDelete: "restrict" }),
    state: text("state").$type<PipelineStateName>().notNull().default("INITIALIZING"),
    reason: text("reason"),
    allowedActions: jsonb("allowed_actions").$type<string[]>().notNull().default([]),
    /** Plan in force; 0 before the first. */
    generation: integer("generation").notNull().default(0),
    digest: text("digest"),
    /** Position of the newest event, over all its workflows. */
    position: integer("position").notNull().default(0),
    createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true }).notNull().defaultNow(),
    endedAt: timestamp("ended_at", { withTimezone: true }),
  },
  (table) => [
    index("orders_newest").on(table.createdAt, table.id),
    index("orders_open")
      .on(table.state)
      .where(sql`${table.endedAt} is null`),
  ],
);

const orderId = text("order_id")
  .notNull()
  .references(() => orders.id, { onDelete: "restrict" });

/** One row per workflow of an order: the order's own (no subject), and one per app. Projection. */
export const pipelines = pgTable(
  "pipelines",
  {
    workflowId: text("workflow_id").primaryKey(),
    orderId,
    /** What it is about; null for the order's own. */
    subject: text("subject"),
    state: text("state").$type<PipelineStateName>().notNull(),
    reason: text("reason"),
    committed: boolean("committed").notNull().default(false),
    /** The plan that it runs, when that is not the order's: the one by which it is rolled back. */
    generation: integer("generation"),
    /** What that plan leads back to, in the words of the order's kind. */
    rollback: jsonb("rollback").$type<Json>(),
    /** Number of events stored of its stream. */
    events: integer("events").notNull().default(0),
    updatedAt: timestamp("updated_at", { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    index("pipelines_of_order").on(table.orderId),
    index("pipelines_by_subject").on(table.subject, table.state),
  ],
);

/** Append-only. A stream belongs to one workflow; `position` orders all streams of an order. */
export const orderEvents = pgTable(
  "order_events",
  {
    orderId,
    position: integer("position").notNull(),
    stream: text("stream").notNull(),
    /** From 1, without gaps, per stream. */
    sequence: integer("sequence").notNull(),
    event: jsonb("event").$type<RecordedEvent>().notNull(),
    storedAt: timestamp("stored_at", { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.orderId, table.position] }),
    uniqueIndex("order_events_stream").on(table.stream, table.sequence),
    // Successes are facts that stay, also when the pipeline's state has gone on to that of a rollback.
    index("order_events_succeeded")
      .on(table.stream)
      .where(sql`${table.event}->>'type' = 'pipelineChanged' and ${table.event}->>'state' = 'SUCCEEDED'`),
  ],
);

/** The plans' tasks, with their progress (projection). Definitions are what the workflows run. */
export const tasks = pgTable(
  "tasks",
  {
    orderId,
    id: text("id").notNull(),
    generation: integer("generation").notNull(),
    /** Workflow that owns the task. */
    stream: text("stream").notNull(),
    subject: text("subject"),
    kind: text("kind").$type<TaskKind>().notNull(),
    group: text("group_id"),
    /** Place in the plan. */
    place: integer("place").notNull(),
    definition: jsonb("definition").$type<TaskDefinition>().notNull(),
    state: text("state").$type<TaskState>().notNull().default("WAITING"),
    attempt: integer("attempt").notNull().default(0),
    /** Kind `pipeline`: how far it is on its way back. */
    turn: text("turn").$type<TurnStanding>(),
    /** Kind `pipeline`: it has, or may have, changed something, whatever its child's own records say. */
    changed: boolean("changed").notNull().default(false),
    reason: text("reason"),
    updatedAt: timestamp("updated_at", { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.orderId, table.id] }),
    index("tasks_of_stream").on(table.stream, table.generation),
  ],
);

/** The pods that a task moves, with their live state. Guarded by `epoch`: an older writer never overwrites a newer one. */
export const taskPods = pgTable(
  "task_pods",
  {
    orderId,
    taskId: text("task_id").notNull(),
    pod: text("pod").notNull(),
    service: text("service").notNull(),
    group: text("group_id").notNull(),
    cell: text("cell").notNull(),
    cluster: text("cluster").notNull(),
    place: integer("place").notNull(),
    /** How it gets there, as planned; absent in plans made before this was noted. */
    change: text("change").$type<PodChange>(),
    /** Why it cannot keep its address, for a person. */
    why: text("why"),
    state: text("state").$type<PodState>().notNull().default("NOT_UPDATED"),
    reason: text("reason"),
    /** Grows with every attempt at the task. */
    epoch: bigint("epoch", { mode: "number" }).notNull().default(0),
    updatedAt: timestamp("updated_at", { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.orderId, table.taskId, table.pod] })],
);

/** At most one order per app service. Taken at `start`, released with the end of the order. */
export const locks = pgTable(
  "locks",
  {
    workspaceGroup: text("workspace_group").notNull(),
    service: text("service").notNull(),
    orderId,
    /** The superseded order that it goes back to should this order end without having begun. */
    takenFrom: text("taken_from").references(() => orders.id, { onDelete: "restrict" }),
    takenAt: timestamp("taken_at", { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.workspaceGroup, table.service] }),
    index("locks_of_order").on(table.orderId),
  ],
);

/**
 * What was seen of the world for one plan of one order, by the task queue that looked. What is older than the plan in
 * force goes when a new plan is made.
 */
export const snapshots = pgTable(
  "snapshots",
  {
    orderId,
    generation: integer("generation").notNull(),
    source: text("source").notNull(),
    observation: jsonb("observation").notNull(),
    takenAt: timestamp("taken_at", { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.orderId, table.generation, table.source] })],
);

/** Which revisions orders name: lets the database itself keep them from being deleted. */
export const orderRevisions = pgTable(
  "order_revisions",
  {
    orderId,
    workspaceGroup: text("workspace_group").notNull(),
    service: text("service").notNull(),
    number: integer("number").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.orderId, table.service] }),
    foreignKey({
      name: "order_revisions_revision_fk",
      columns: [table.workspaceGroup, table.service, table.number],
      foreignColumns: [revisions.workspaceGroup, revisions.service, revisions.number],
    }).onDelete("restrict"),
    index("order_revisions_by_revision").on(table.workspaceGroup, table.service, table.number),
  ],
);
