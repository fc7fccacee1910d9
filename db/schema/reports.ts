import { index, jsonb, pgTable, text, timestamp } from "drizzle-orm/pg-core";
import type { PodAnswer, PodQuestion } from "../../domain/workload/pod-report.ts";
import { orders } from "./orders.ts";

/**
 * Questions about pods on their way to a cluster, and answers on their way back. Logs may hold secrets: a row lives only
 * until its answer has been read, and none of it stands in any workflow's history.
 */
export const podReports = pgTable(
  "pod_reports",
  {
    id: text("id").primaryKey(),
    orderId: text("order_id")
      .notNull()
      .references(() => orders.id, { onDelete: "cascade" }),
    namespace: text("namespace").notNull(),
    pod: text("pod").notNull(),
    question: jsonb("question").$type<PodQuestion>().notNull(),
    answer: jsonb("answer").$type<PodAnswer>(),
    createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [index("pod_reports_by_age").on(table.createdAt)],
);
