import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import fastify from "fastify";
import { loggableError } from "../db/errors.ts";
import type { App, AppDependencies } from "./dependencies.ts";
import { audit } from "./plugins/audit.ts";
import { auth } from "./plugins/auth.ts";
import { metrics } from "./plugins/metrics.ts";
import { openapi } from "./plugins/openapi.ts";
import { problems } from "./plugins/problems.ts";
import { reference, referenceAccess } from "./plugins/reference.ts";
import { validation } from "./plugins/validation.ts";
import { applicationRoutes } from "./routes/applications.ts";
import { appServiceRoutes } from "./routes/app-services.ts";
import { auditRecordRoutes } from "./routes/audit-records.ts";
import { cellRoutes } from "./routes/cells.ts";
import { clusterRoutes } from "./routes/clusters.ts";
import { dashboardRoutes } from "./routes/dashboard.ts";
import { healthRoutes } from "./routes/health.ts";
import { revisionComparisonRoutes } from "./routes/revision-comparisons.ts";
import { revisionDraftRoutes } from "./routes/revision-drafts.ts";
import { revisionRoutes } from "./routes/revisions.ts";
import { roleBindingRoutes } from "./routes/role-bindings.ts";
import { workspaceGroupRoutes } from "./routes/workspace-groups.ts";
import { workspaceRoutes } from "./routes/workspaces.ts";

/** Builds the API. It listens nowhere yet: call `listen`, or `inject` in tests. */
export function buildApp(deps: AppDependencies): App {
  const app: App = fastify({
    loggerInstance: deps.logger.child({}, { serializers: { err: loggableError } }),
    genReqId: () => crypto.randomUUID(),
    requestIdHeader: false,
    bodyLimit: 1_048_576,
    ...(deps.trustProxy === undefined ? {} : { trustProxy: [...deps.trustProxy] }),
  }).withTypeProvider<TypeBoxTypeProvider>();
  // Only JSON is read; anything else is 415.
  app.removeContentTypeParser("text/plain");

  app.register(problems);
  app.register(validation);
  app.register(referenceAccess);
  app.register(auth, { verifyToken: deps.verifyToken, database: deps.database });
  app.register(audit, { database: deps.database });
  app.register(openapi);
  app.register(reference);
  app.register(metrics);
  app.register(async (root: App) => healthRoutes(root, deps));
  app.register(
    async (v1: App) => {
      clusterRoutes(v1, deps);
      workspaceGroupRoutes(v1, deps);
      workspaceRoutes(v1, deps);
      cellRoutes(v1, deps);
      applicationRoutes(v1, deps);
      appServiceRoutes(v1, deps);
      revisionRoutes(v1, deps);
      revisionDraftRoutes(v1, deps);
      revisionComparisonRoutes(v1, deps);
      roleBindingRoutes(v1, deps);
      dashboardRoutes(v1, deps);
      auditRecordRoutes(v1, deps);
      for (const declare of deps.routes ?? []) declare(v1, deps);
    },
    { prefix: "/api/v1" },
  );
  return app;
}
