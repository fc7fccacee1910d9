/** Releases one service over REST, as a person would, and tells what it cost. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@temporalio/client";
import { createClusterClient } from "../activities/kubernetes/client.ts";
import type { ReleaseOrder } from "../local/example-order.ts";
import type { Rest } from "../local/rest.ts";
import { readAuditLog } from "../test/support/audit-log.ts";

/** Where the release is measured. */
export type Installation = {
  rest: Rest;
  temporal: Client;
  kubernetes: { auditLog: string; kubeconfigs: { admin: string; cellwright: string } };
};

/** What is released: one service in two cells, its pods cut into groups of the same size. */
export type Work = { pods: number; groups: number };

export type Cost = {
  /** Of Temporal's histories. */
  events: { order: number; app: number; total: number };
  /** Activities by their name: what was called, whatever the number of tries. */
  calls: Record<string, number>;
  /** Patches of pods by Cellwright that the API server accepted. */
  patches: number;
  /** From the start to the order's end, ms. */
  duration: number;
};

const ORDERS = "/api/v1/release-orders";
/** For an order's every step, ms. */
const BOUND = 15 * 60_000;

/** Deploys a service at tag 1 and then releases tag 2 in place; answers with the cost of the latter. */
export async function measureRelease(installation: Installation, { pods, groups }: Work): Promise<Cost> {
  const { rest, temporal, kubernetes } = installation;
  const name = `bench-${pods}-${Date.now().toString(36)}`;
  const at = `/api/v1/workspace-groups/${name}`;
  await prepare(installation, name);
  const cells = { "cell-a": { replicas: Math.ceil(pods / 2) }, "cell-b": { replicas: Math.floor(pods / 2) } };
  const release = async (tag: string): Promise<{ order: ReleaseOrder & { workflowId: string }; begin: number }> => {
    await rest.send("POST", `${at}/app-services/web/revisions`, {
      template: { containers: [{ name: "main", image: `bench/web:${tag}` }] },
      cells,
      release: {
        strategy: "QUICK",
        minGroups: groups,
        beta: false,
        pause: "OFF",
        upgrade: "IN_PLACE",
        readySeconds: 0,
      },
    });
    const body = { workspaceGroup: name, title: `${pods} pods to ${tag}`, type: "GROUPED", apps: [{ service: "web" }] };
    const { id } = await rest.send<ReleaseOrder>("POST", ORDERS, body);
    const ready = await reach(rest, id, "READY");
    if (ready.apps?.[0]?.groups?.length !== groups) throw new Error(`${pods} pods are not in ${groups} groups`);
    const begin = Date.now();
    await rest.send("POST", `${ORDERS}/${id}/actions/start`, { digest: ready.digest });
    return { order: await reach(rest, id, "SUCCEEDED"), begin };
  };

  await release("1");
  const { order, begin } = await release("2");
  const duration = Date.now() - begin;
  const [own, app] = [
    await readHistory(temporal, order.workflowId),
    await readHistory(temporal, `${order.workflowId}/web`),
  ];
  const calls: Record<string, number> = {};
  for (const call of [...own.calls, ...app.calls]) calls[call] = (calls[call] ?? 0) + 1;
  const patches = readAuditLog(kubernetes.auditLog, {
    namespace: name,
    user: "cellwright",
    verb: "patch",
    resource: "pods",
  });
  return {
    events: { order: own.events, app: app.events, total: own.events + app.events },
    calls,
    patches: patches.filter(({ receivedAt, status }) => receivedAt >= begin && status < 300).length,
    duration,
  };
}

async function prepare({ rest, kubernetes: { kubeconfigs } }: Installation, name: string): Promise<void> {
  const kubeconfig = readFileSync(kubeconfigs.admin, "utf8");
  const admin = await createClusterClient({ cluster: "local", kubeconfig, timeoutMs: 20_000 });
  await admin.request({ method: "POST", path: "/api/v1/namespaces", body: { metadata: { name } } });
  const at = `/api/v1/workspace-groups/${name}`;
  await rest.send("PUT", "/api/v1/clusters/local", {
    access: "kubeconfig",
    kubeconfig: readFileSync(kubeconfigs.cellwright, "utf8"),
  });
  await rest.send("PUT", at, {});
  await rest.send("PUT", `${at}/workspaces/main`, { region: "local" });
  for (const cell of ["cell-a", "cell-b"]) {
    const place = { workspace: "main", zone: "RZ01", az: "az-a", cluster: "local", nodeSelector: { cell } };
    await rest.send("PUT", `${at}/cells/${cell}`, place);
  }
  await rest.send("PUT", `${at}/applications/bench`, { owner: "bench" });
  await rest.send("PUT", `${at}/app-services/web`, { application: "bench", namespace: name });
}

const LOST = new Set(["INIT_FAILED", "FAILED", "TERMINATED", "ABANDONED", "CANCELLED"]);

async function reach(rest: Rest, id: string, state: string): Promise<ReleaseOrder & { workflowId: string }> {
  for (const until = Date.now() + BOUND; ;) {
    const order = await rest.get<ReleaseOrder & { workflowId: string }>(`${ORDERS}/${id}`);
    if (order.state === state) return order;
    if (LOST.has(order.state) || Date.now() > until) throw new Error(`order ${id} is ${order.state}: ${order.reason}`);
    await sleep(200);
  }
}

/** Of a closed workflow that has not continued as new: releases of this size do not. */
async function readHistory(temporal: Client, workflowId: string): Promise<{ events: number; calls: string[] }> {
  const handle = temporal.workflow.getHandle(workflowId);
  // The order's record ends a moment before its workflow does.
  await handle.result();
  const events = (await handle.fetchHistory()).events ?? [];
  if (events[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId) {
    throw new Error(`${workflowId} has continued as new: its last history is not the whole`);
  }
  const calls = events.flatMap(
    ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name ?? [],
  );
  return { events: events.length, calls };
}
