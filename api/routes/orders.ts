import type { OrderEngine } from "../../domain/pipeline/engine.ts";
import type { PodReports } from "../../domain/workload/pod-report.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { orderEventRoutes } from "./order-events.ts";
import { podRoutes } from "./pods.ts";
import { quickActionRoutes } from "./quick-actions.ts";
import { releaseOrderRoutes } from "./release-orders.ts";

/** All routes of orders, which need somebody who carries orders out. */
export function orderRoutes(engine: OrderEngine, reports: PodReports): ((app: App, deps: AppDependencies) => void)[] {
  return [releaseOrderRoutes(engine), orderEventRoutes(), podRoutes(reports), quickActionRoutes(engine)];
}
