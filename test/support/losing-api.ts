/** A product whose API is killed between a request and its answer, at a chosen moment. */
import { setTimeout as sleep } from "node:timers/promises";
import { inject } from "vitest";
import type { Reply } from "./client.ts";
import { startProduct, type Product } from "./product.ts";
import { startTcpProxy, type Held, type TcpProxy } from "./tcp-proxy.ts";

export type Moment = {
  /** When the API dies: as soon as something is held. */
  at: () => Promise<Held>;
  /** Whether what was held then still reaches the server. */
  arrives?: boolean;
};

export type LosingApi = {
  product: Product;
  /** Between the API and its servers; the workers go past them. */
  postgres: TcpProxy;
  temporal: TcpProxy;
  /**
   * Kills the API when the moment has come, or so many ms after the request was sent, and starts it again when
   * `meanwhile` is over.
   * @throws when the moment does not come, or the request is answered after it: then nothing would be proved
   */
  killDuring: (
    request: () => Promise<Reply<unknown>>,
    moment: Moment | number,
    meanwhile?: () => Promise<unknown>,
  ) => Promise<void>;
  close: () => Promise<void>;
};

export async function startLosingApi(): Promise<LosingApi> {
  const stack = inject("stack");
  const postgres = await startTcpProxy(new URL(stack.databaseUrl).host);
  const temporal = await startTcpProxy(stack.temporal.address);
  const product = await startProduct({
    envOf(process, env): Record<string, string> {
      if (process !== "api") return {};
      const database = new URL(env.DATABASE_URL);
      database.host = postgres.address;
      return { DATABASE_URL: database.href, TEMPORAL_ADDRESS: temporal.address };
    },
  });
  const api = product.processes["api"]!;
  return {
    product,
    postgres,
    temporal,
    async killDuring(request, moment, meanwhile) {
      const held = typeof moment === "number" ? sleep(moment) : moment.at();
      const answer = request().then(
        ({ status }) => status,
        () => "none" as const,
      );
      const first = await Promise.race([held, answer]);
      await api.kill();
      if (typeof moment !== "number") {
        if (typeof first !== "object") throw new Error(`the moment did not come: the answer was ${String(first)}`);
        if (moment.arrives === true) await first.deliver();
        else first.drop();
        if ((await answer) !== "none") throw new Error("the request was answered all the same");
      }
      await meanwhile?.();
      for (const proxy of [postgres, temporal]) proxy.forget();
      await api.start();
    },
    async close() {
      try {
        await product.stop();
      } finally {
        await Promise.all([postgres.close(), temporal.close()]);
      }
    },
  };
}
