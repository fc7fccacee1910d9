import Type from "typebox";
import type { App, AppDependencies, ReadinessCheck } from "../dependencies.ts";
import { Problem } from "../problem.ts";

/** Longest time, in milliseconds, that a readiness check may take. */
const BOUND = 3_000;

/** `/healthz`: the process answers. `/readyz`: everything it needs answers too. */
export function healthRoutes(app: App, deps: AppDependencies): void {
  const checks: readonly ReadinessCheck[] = [
    { name: "database", check: () => deps.database.pool.query("select 1") },
    ...(deps.readiness ?? []),
  ];
  const Ready = Type.Object({ status: Type.String() });

  app.get(
    "/healthz",
    { config: { access: "public" }, schema: { tags: ["health"], security: [], response: { 200: Ready } } },
    () => ({ status: "alive" }),
  );

  app.get(
    "/readyz",
    { config: { access: "public" }, schema: { tags: ["health"], security: [], response: { 200: Ready } } },
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
