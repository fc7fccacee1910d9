/** A small client of the API for tests: typed where it helps, and refusals are answers like any other. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ReleaseOrder } from "../../api/order-view.ts";

export type { ReleaseOrder };

export type Reply<T> = { status: number; body: T; headers: Headers };

/** A refusal (RFC 9457). */
export type Refusal = {
  type: string;
  title: string;
  status: number;
  detail: string;
  errors?: { field: string; message: string }[];
  state?: string;
  allowedActions?: string[];
  digest?: string;
  order?: ReleaseOrder;
};

export type ActionAnswer = { id: string; state: string; digest?: string; allowedActions: string[] };

/** Options of a call: `key` is the Idempotency-Key. */
type CallOptions = { body?: unknown; key?: string; headers?: Record<string, string> };

export type OrderBody = {
  workspaceGroup: string;
  title: string;
  apps: { service: string; revision?: number }[];
  dependencies?: { service: string; needs: string[] }[];
  supersedes?: string;
};

export type Client = {
  /** Whatever the answer is. */
  call<T = Refusal>(method: string, path: string, options?: CallOptions): Promise<Reply<T>>;
  /** These throw unless the answer is a success. */
  get<T>(path: string): Promise<T>;
  put<T>(path: string, body: unknown): Promise<T>;
  post<T>(path: string, body: unknown, key?: string): Promise<T>;

  /** Creates a release order and answers with it as previewed (or as far as it came). */
  order(body: OrderBody): Promise<ReleaseOrder>;
  /** Creates a release order and starts it; answers with the preview. */
  release(body: OrderBody): Promise<ReleaseOrder>;
  read(order: string): Promise<ReleaseOrder>;
  /** A verb on an order; throws when it is refused. */
  act(order: string, verb: string, body?: { reason?: string; digest?: string }): Promise<ActionAnswer>;
  /** A verb on an order or (with `task`) on one of its tasks, whatever the answer is. */
  tryAct<T = Refusal>(
    order: string,
    verb: string,
    options?: { task?: string; app?: string; body?: unknown; key?: string },
  ): Promise<Reply<T>>;
  actOnTask(order: string, task: string, verb: string, body?: { reason?: string }): Promise<ActionAnswer>;
  /** Confirms what awaits; answers with the ids of the tasks. */
  confirm(order: string): Promise<string[]>;
  /** Waits until the order is in the state, or as the predicate wants it. `ms` bounds it, 60 s unless told. */
  waitFor(order: string, wanted: Wanted, ms?: number): Promise<ReleaseOrder>;
  /** Confirms whatever awaits until the order is as wanted, SUCCEEDED unless told. */
  drive(order: string, wanted?: Wanted, ms?: number): Promise<ReleaseOrder>;
};

type Wanted = string | ((order: ReleaseOrder) => boolean);

const ORDERS = "/api/v1/release-orders";
/** Milliseconds between two looks at an order. */
const LOOK = 150;
const ENDED = new Set(["SUCCEEDED", "CANCELLED", "ROLLED_BACK", "SUPERSEDED", "TERMINATED", "ABANDONED"]);

export function createClient(url: string, token: string): Client {
  async function call<T>(method: string, path: string, options: CallOptions = {}): Promise<Reply<T>> {
    const { body, key, headers } = options;
    const response = await fetch(new URL(path, url), {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(key !== undefined && { "idempotency-key": key }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") === true && text !== "";
    return {
      status: response.status,
      body: (isJson ? JSON.parse(text) : text) as T,
      headers: response.headers,
    };
  }

  async function succeed<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const { status, body } = await call<T>(method, path, options);
    if (status >= 300) throw new Error(`${method} ${path} answered ${status}: ${JSON.stringify(body)}`);
    return body;
  }

  const pathOf = (order: string, verb: string, at: { task?: string; app?: string }): string => {
    const inner = at.task !== undefined ? `/tasks/${at.task}` : at.app !== undefined ? `/apps/${at.app}` : "";
    return `${ORDERS}/${order}${inner}/actions/${verb}`;
  };

  const client: Client = {
    call,
    get: (path) => succeed("GET", path),
    put: (path, body) => succeed("PUT", path, { body }),
    post: (path, body, key) => succeed("POST", path, { body, ...(key !== undefined && { key }) }),
    order: (body) => succeed("POST", ORDERS, { body: { type: "GROUPED", ...body } }),
    async release(body) {
      const { id } = await client.order(body);
      // On a machine that is busy the preview may take longer than the answer waits.
      const order = await client.waitFor(id, ({ state }) => state !== "INITIALIZING", 60_000);
      if (order.state !== "READY") throw new Error(describe(order));
      await client.act(order.id, "start", { digest: order.digest ?? "" });
      return order;
    },
    read: (order) => succeed("GET", `${ORDERS}/${order}`),
    act: (order, verb, body = {}) => succeed("POST", pathOf(order, verb, {}), { body }),
    tryAct: (order, verb, { body = {}, key, ...at } = {}) =>
      call("POST", pathOf(order, verb, at), { body, ...(key !== undefined && { key }) }),
    actOnTask: (order, task, verb, body = {}) => succeed("POST", pathOf(order, verb, { task }), { body }),
    async confirm(order) {
      const { tasks } = await client.read(order);
      const awaiting = tasks.filter((task) => task.kind === "confirm" && task.state === "AWAITING_CONFIRM");
      for (const task of awaiting) await client.actOnTask(order, task.id, "confirm");
      return awaiting.map((task) => task.id);
    },
    async waitFor(order, wanted, ms = 60_000) {
      const isThere = typeof wanted === "string" ? (now: ReleaseOrder) => now.state === wanted : wanted;
      const until = Date.now() + ms;
      for (;;) {
        const now = await client.read(order);
        if (isThere(now)) return now;
        const what = typeof wanted === "string" ? wanted : "as wanted";
        if (ENDED.has(now.state)) throw new Error(`the order has ended and is not ${what}: ${describe(now)}`);
        if (Date.now() > until) throw new Error(`after ${ms} ms the order is not ${what}: ${describe(now)}`);
        await sleep(LOOK);
      }
    },
    async drive(order, wanted = "SUCCEEDED", ms = 90_000) {
      const isThere = typeof wanted === "string" ? (now: ReleaseOrder) => now.state === wanted : wanted;
      const until = Date.now() + ms;
      for (;;) {
        const next = (now: ReleaseOrder) => isThere(now) || awaits(now) || now.state === "FAILED";
        const now = await client.waitFor(order, next, until - Date.now());
        if (isThere(now)) return now;
        if (!awaits(now)) throw new Error(`the order cannot be driven on: ${describe(now)}`);
        await client.confirm(order);
      }
    },
  };
  return client;
}

function awaits(order: ReleaseOrder): boolean {
  return order.tasks.some((task) => task.kind === "confirm" && task.allowedActions.includes("confirm"));
}

/** Enough of an order to understand why a test failed. */
export function describe(order: ReleaseOrder): string {
  const tasks = order.tasks
    .filter((task) => task.state !== "SUCCEEDED" && task.state !== "WAITING")
    .map((task) => `  ${task.id} ${task.state}${task.reason === undefined ? "" : `: ${task.reason}`}`);
  return [`order ${order.id} is ${order.state}${order.reason ? `: ${order.reason}` : ""}`, ...tasks].join("\n");
}
