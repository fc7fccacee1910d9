/** Questions about pods, and their answers, while they are under way. */
import { and, desc, eq, lt, sql } from "drizzle-orm";
import type { PodAnswer } from "../../domain/workload/pod-report.ts";
import type { Tx } from "../client.ts";
import { appServices, orders, podReports, taskPods } from "../schema/index.ts";

type PodReport = typeof podReports.$inferSelect;

/** Where a pod lives. */
type PodPlace = { service: string; cell: string; cluster: string; namespace: string };

/** Where a pod of the order's plan lives; undefined when the plan has no such pod. */
export async function findPlannedPod(tx: Tx, orderId: string, pod: string): Promise<PodPlace | undefined> {
  const [place] = await tx
    .select({
      service: taskPods.service,
      cell: taskPods.cell,
      cluster: taskPods.cluster,
      namespace: appServices.namespace,
    })
    .from(taskPods)
    .innerJoin(orders, eq(orders.id, taskPods.orderId))
    .innerJoin(
      appServices,
      and(eq(appServices.workspaceGroup, orders.workspaceGroup), eq(appServices.name, taskPods.service)),
    )
    .where(and(eq(taskPods.orderId, orderId), eq(taskPods.pod, pod)))
    .orderBy(desc(taskPods.updatedAt))
    .limit(1);
  return place;
}

export async function askPodReport(
  tx: Tx,
  report: Pick<PodReport, "id" | "orderId" | "namespace" | "pod" | "question">,
): Promise<void> {
  await tx.insert(podReports).values(report);
}

/** Undefined when nobody waits for it any more. */
export async function findPodReport(tx: Tx, id: string): Promise<PodReport | undefined> {
  const [row] = await tx.select().from(podReports).where(eq(podReports.id, id));
  return row;
}

/** Stores the answer, if somebody still waits for it. */
export async function answerPodReport(tx: Tx, id: string, answer: PodAnswer): Promise<void> {
  await tx.update(podReports).set({ answer }).where(eq(podReports.id, id));
}

/** Takes the question away, and what has been answered. */
export async function takePodReport(tx: Tx, id: string): Promise<PodAnswer | undefined> {
  const [row] = await tx.delete(podReports).where(eq(podReports.id, id)).returning({ answer: podReports.answer });
  return row?.answer ?? undefined;
}

/** Removes what has not been taken within `seconds`: whoever asked has died. Answers how many there were. */
export async function forgetPodReports(tx: Tx, seconds: number): Promise<number> {
  const gone = await tx
    .delete(podReports)
    .where(lt(podReports.createdAt, sql`now() - make_interval(secs => ${seconds})`))
    .returning({ id: podReports.id });
  return gone.length;
}
