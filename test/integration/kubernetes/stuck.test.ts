/** Pods that will not come by themselves: found out, told with what to do, and not waited for longer than makes sense. */
import { afterAll, describe, expect, test } from "vitest";
import { CONTENT, paths } from "../../../activities/kubernetes/client.ts";
import type { ConnectedCluster } from "../../../activities/kubernetes/connect.ts";
import type { PodObject } from "../../../activities/kubernetes/objects.ts";
import type { Desired } from "../../../activities/kubernetes/port.ts";
import { deploy, openBench, podNames, until, watchProgress, type Bench } from "../../support/workloads.ts";

describe.concurrent("stuck pods", { timeout: 120_000 }, () => {
  const benches: Bench[] = [];
  async function open(): Promise<{ bench: Bench; local: ConnectedCluster }> {
    const bench = await openBench();
    benches.push(bench);
    return { bench, local: await bench.connect() };
  }
  afterAll(() => {
    for (const bench of benches) bench.close();
  });

  async function move(local: ConnectedCluster, desired: Desired, ordinals: number[]) {
    const progress = watchProgress();
    const { cell } = desired.placement;
    const input = {
      parts: [{ desired, pods: podNames(cell, ...ordinals) }],
      holder: "o2/t1#1.1",
      startedAt: Date.now(),
    };
    const begin = performance.now();
    const moved = await local.driver.move(input, progress);
    return { moved, seconds: (performance.now() - begin) / 1000, reports: progress.reports };
  }

  test("a container that crashes again and again is given up long before the deadline; the others go on", async () => {
    const { bench, local } = await open();
    await deploy(local, bench.desired({ order: "o1", revision: 1, tag: "1" }));
    const bad = bench.desired({ order: "o2", revision: 2, tag: "bad", release: { progressDeadlineSeconds: 300 } });
    await local.driver.apply(bad, watchProgress());
    const moving = move(local, bad, [1]);
    const path = `${paths.pod(bench.namespace, "cart-cell-a-1")}/status`;
    const crashes = async (): Promise<number | undefined> => {
      const pod = await bench.admin.request<PodObject>({ method: "GET", path });
      const [status] = pod.status?.containerStatuses ?? [];
      return status?.state?.waiting?.reason === "CrashLoopBackOff" ? status.restartCount : undefined;
    };
    const count = await until("the container crashes", crashes);
    // Seen once, it crashes twice more, as under a kubelet.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const body = [{ op: "replace", path: "/status/containerStatuses/0/restartCount", value: count + 2 }];
    await bench.admin.request({ method: "PATCH", path, contentType: CONTENT.jsonPatch, body });
    const { moved, seconds } = await moving;
    expect(seconds).toBeLessThan(30);
    expect(moved).toMatchObject({
      outcome: "failed",
      changed: true,
      reason: expect.stringMatching(
        /^A pod is stuck, .*cart-cell-a-1: container main.*CrashLoopBackOff.*exit code 1.*event BackOff.*To do: read the log/,
      ),
      pods: [{ state: "FAILED", reason: expect.stringMatching(/CrashLoopBackOff.*To do: read the log/) }],
    });
  });

  test("a quota that leaves no room is named, with what to do", async () => {
    const { bench, local } = await open();
    await bench.admin.request({
      method: "POST",
      path: `/api/v1/namespaces/${bench.namespace}/resourcequotas`,
      body: { metadata: { name: "small" }, spec: { hard: { pods: "2" } } },
    });
    const desired = bench.desired({ order: "o2", revision: 1, tag: "1", replicas: 3 });
    await local.driver.apply(desired, watchProgress());
    const { moved, seconds } = await move(local, desired, [0, 1, 2]);
    expect(seconds).toBeLessThan(20);
    expect(moved).toMatchObject({
      outcome: "failed",
      reason: expect.stringMatching(/cannot be created: .*exceeded quota: small.*To do: raise the namespace's quota/),
    });
    const states = moved.pods.map((pod) => pod.state);
    expect(states.toSorted()).toEqual(["FAILED", "UPDATED", "UPDATED"]);
  });

  test("a pod that no node takes is told in the scheduler's words", async () => {
    const { bench, local } = await open();
    const desired = bench.desired({ order: "o2", revision: 1, tag: "1", replicas: 1 });
    const [container] = desired.spec.template.containers;
    Object.assign(container!, { resources: { requests: { cpu: "2000" }, limits: {} } });
    await local.driver.apply(desired, watchProgress());
    const { moved, reports } = await move(local, desired, [0]);
    expect(moved).toMatchObject({
      outcome: "failed",
      reason: expect.stringMatching(/no node takes it: .*Insufficient cpu.*To do: make room/),
    });
    // People see why while it is still being waited for.
    expect(reports.flat().some((pod) => pod.state === "UPDATING" && /Insufficient cpu/.test(pod.reason ?? ""))).toBe(
      true,
    );
  });

  test("a finalizer that nobody takes away is named", async () => {
    const { bench, local } = await open();
    await deploy(local, bench.desired({ order: "o1", revision: 1, tag: "1" }));
    const pod = paths.pod(bench.namespace, "cart-cell-a-2");
    const body = [{ op: "add", path: "/metadata/finalizers", value: ["example.com/hold"] }];
    await bench.admin.request({ method: "PATCH", path: pod, contentType: CONTENT.jsonPatch, body });
    const next = bench.desired({ order: "o2", revision: 2, tag: "2" });
    await local.driver.apply(next, watchProgress());
    await bench.admin.request({ method: "DELETE", path: pod, body: { gracePeriodSeconds: 1 } });
    const { moved } = await move(local, next, [2]);
    expect(moved).toMatchObject({
      outcome: "failed",
      reason: expect.stringMatching(/To do: look at the controller of that finalizer/),
      pods: [{ state: "FAILED", reason: expect.stringContaining("kept by example.com/hold") }],
    });
    await bench.admin.request({
      method: "PATCH",
      path: pod,
      contentType: CONTENT.jsonPatch,
      body: [{ op: "remove", path: "/metadata/finalizers" }],
    });
  });
});
