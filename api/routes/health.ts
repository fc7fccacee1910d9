import Type from "typebox";
import type { App, AppDependencies, ReadinessCheck } from "../dependencies.ts";
import { problemResponse } from "../openapi/problems.ts";
import type { Tag } from "../plugins/openapi.ts";
import { Problem } from "../problem.ts";

const tags: Tag[] = ["health"];
/** Longest time, in milliseconds, that a readiness check may take. */
const BOUND = 3_000;

/** `/healthz`: the process answers. `/readyz`: everything it needs answers too. */
export function healthRoutes(app: App, deps: AppDependencies): void {
  const checks: readonly ReadinessCheck[] = [
    { name: "database", check: () => deps.database.pool.query("select 1") },
    ...(deps.readiness ?? []),
  ];
  const State = Type.Object({ status: Type.String({ description: "alive, or ready" }) });

  app.get(
    "/healthz",
    {
      config: { permission: "public" },
      schema: { summary: "Whether the process lives", tags, security: [], response: { 200: State } },
    },
    () => ({ status: "alive" }),
  );

  app.get(
    "/readyz",
    {
      config: { permission: "public" },
      schema: {
        summary: "Whether everything that the process needs answers too",
        tags,
        security: [],
        response: { 200: State, 503: problemResponse(503) },
      },
    },
    async (request) => {
      const results = await Promise.allSettled(checks.map(({ check }) => bounded(check)));
      const away = checks.filter((_check, index) => results[index]?.status === "rejected").map(({ name }) => name);
      if (away.length === 0) return { status: "ready" };
      for (const result of results)
        if (result.status === "rejected") request.log.warn({ err: result.reason }, "not ready");
      throw new Problem("unavailable", `Not ready, because this does not answer: ${away.join(", ")}.`, {
        headers: { "Retry-After": "2" },
      });
    },
  );
}

async function bounded(check: () => Promise<unknown>): Promise<void> {
  const timeout = AbortSignal.timeout(BOUND);
  await Promise.race([
    check(),
    new Promise((_resolve, reject) => {
      timeout.addEventListener("abort", () => reject(new Error(`no answer within ${BOUND} ms`)));
    }),
  ]);
}
