import { createHash } from "node:crypto";
import { join } from "node:path";
import { KubeConfig, CoreV1Api, ApiException } from "@kubernetes/client-node";
import { type Call, readCalls } from "./example-calls.ts";
import { driveOrder, type ReleaseOrder } from "./example-order.ts";
import { projectRoot } from "./paths.ts";
import type { Progress } from "./progress.ts";
import type { Rest } from "./rest.ts";

const group = "shop";

/**
 * Applies `examples/shop` by the API, as a person with curl would, and drives its release to success.
 * Doing so again changes nothing: every POST has an Idempotency-Key made of what is posted.
 * @throws when a call is refused or the release does not succeed; the message says why.
 */
export async function releaseExample(options: {
  rest: Rest;
  /** Path of a kubeconfig that may create namespaces. */
  adminKubeconfig: string;
  /** Text of the kubeconfig under which the cluster is registered. */
  productKubeconfig: string;
  progress: Progress;
}): Promise<void> {
  const { rest, progress } = options;
  await ensureNamespace(options.adminKubeconfig, group);
  const calls = readCalls(join(projectRoot, "examples", "shop"), { CLUSTER_KUBECONFIG: options.productKubeconfig });
  const isOrder = (call: Call): boolean => "post" in call && call.post.endsWith("/release-orders");
  const revisions: { number: number }[] = [];
  for (const call of calls) {
    if (isOrder(call)) continue;
    if ("put" in call) await rest.send("PUT", call.put, call.body);
    else revisions.push(await rest.send("POST", call.post, call.body, keyOf(call)));
  }
  progress.log(`✔ The example's catalogue is applied: ${calls.length} calls in examples/shop.`);

  for (const call of calls) {
    if (!("post" in call) || !isOrder(call)) continue;
    const order = await findOrCreateOrder(rest, call, revisions);
    if (order.state === "SUCCEEDED") {
      progress.log(`✔ The shop was already released by order ${order.id}.`);
    } else {
      await driveOrder(rest, order, progress);
    }
  }
}

/** States in which an order has ended without having released anything, or everything. */
const ended = new Set(["CANCELLED", "ROLLED_BACK", "SUPERSEDED", "TERMINATED", "ABANDONED"]);

/** The order of an earlier start if it can still succeed or has; otherwise a new one. */
async function findOrCreateOrder(
  rest: Rest,
  call: { post: string; body: unknown },
  revisions: readonly { number: number }[],
): Promise<ReleaseOrder> {
  const numbers = revisions.map(({ number }) => number);
  for (let attempt = 1; ; attempt++) {
    const { id } = await rest.send<ReleaseOrder>("POST", call.post, call.body, keyOf({ ...call, numbers, attempt }));
    const order = await rest.get<ReleaseOrder>(`${call.post}/${id}`);
    if (!ended.has(order.state)) return order;
  }
}

function keyOf(content: unknown): string {
  return `example-${createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 32)}`;
}

async function ensureNamespace(kubeconfig: string, name: string): Promise<void> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  try {
    await config.makeApiClient(CoreV1Api).createNamespace({ body: { metadata: { name } } });
  } catch (error) {
    const alreadyThere = error instanceof ApiException && error.code === 409;
    if (!alreadyThere) throw new Error(`Namespace ${name} could not be created.`, { cause: error });
  }
}
