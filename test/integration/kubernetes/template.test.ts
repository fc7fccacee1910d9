/** What is rendered, judged by a real API server: it takes whatever our validation takes. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { CONTENT, createClusterClient, paths, type ClusterClient } from "../../../activities/kubernetes/client.ts";
import { fillDefaults, type RevisionBody } from "../../../domain/catalogue/revision.ts";
import { renderServices, renderStatefulSet, type Manifest, type Rendering } from "../../../domain/workload/render.ts";
import { openBench, watchProgress } from "../../support/workloads.ts";
import { acceptedBodies, fullBody } from "../../support/revision-bodies.ts";

const SERVICE = "web";
type Template = { metadata: object; spec: { volumes?: object[]; containers: { imagePullPolicy?: string }[] } };
type StatefulSet = {
  spec: { template: Template; volumeClaimTemplates?: { metadata: { name: string }; spec: object }[] };
};

describe("the API server takes", () => {
  const namespace = `template-${process.pid}-${Date.now().toString(36)}`;
  let client: ClusterClient;
  beforeAll(async () => {
    client = await createClusterClient({
      cluster: "local",
      kubeconfig: readFileSync(inject("stack").kubernetes.kubeconfigs.admin, "utf8"),
      timeoutMs: 20_000,
    });
    await client.request({ method: "POST", path: "/api/v1/namespaces", body: { metadata: { name: namespace } } });
    for (const name of ["default", "web"]) {
      // The controller manager may have made the first one already.
      await apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name } }, "serviceaccounts", false);
    }
  });
  afterAll(() => client.request({ method: "DELETE", path: `/api/v1/namespaces/${namespace}` }));

  const rendering = (body: RevisionBody): Rendering => ({
    placement: {
      tenant: "local",
      workspaceGroup: "shop",
      workspace: "main",
      region: "local",
      zone: "RZ01",
      az: "az-a",
      cell: "cell-a",
      nodeSelector: { cell: "cell-a" },
      application: "shop",
      service: SERVICE,
      namespace,
    },
    spec: fillDefaults(body),
  });

  type Appliable = { apiVersion: string; kind: string; metadata: { name: string } };
  function apply<T>(manifest: Appliable, resource: string, isDry = true): Promise<T> {
    const { apiVersion, metadata } = manifest;
    const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    return client.request<T>({
      method: "PATCH",
      path: `${group}/namespaces/${namespace}/${resource}/${metadata.name}`,
      query: {
        fieldManager: "cellwright",
        force: true,
        fieldValidation: "Strict",
        ...(isDry ? { dryRun: "All" } : {}),
      },
      contentType: CONTENT.apply,
      body: manifest,
    });
  }
  const setOf = (body: RevisionBody): Manifest => {
    const set = renderStatefulSet(rendering(body));
    return { ...set, spec: { ...set.spec, replicas: 0 } };
  };

  function tryCreate(resource: string, body: object): Promise<unknown> {
    const path = `/api/v1/namespaces/${namespace}/${resource}`;
    return client.request({ method: "POST", path, query: { dryRun: "All", fieldValidation: "Strict" }, body });
  }

  /**
   * The API server does not look at everything in the template of a StatefulSet; the rest shows when the controller
   * makes pods and claims of it. So they are tried as well, as the controller would make them.
   */
  async function expectAccepted(body: RevisionBody): Promise<void> {
    const { spec } = await apply<StatefulSet>(setOf(body), "statefulsets");
    for (const service of renderServices(rendering(body))) await apply(service, "services");
    const claims = spec.volumeClaimTemplates ?? [];
    const pod = `${SERVICE}-cell-a-0`;
    for (const claim of claims) {
      await tryCreate("persistentvolumeclaims", {
        ...claim,
        metadata: { name: `${claim.metadata.name}-${pod}` },
      });
    }
    const { template } = spec;
    const volumes = [
      ...(template.spec.volumes ?? []),
      ...claims.map(({ metadata: { name } }) => ({ name, persistentVolumeClaim: { claimName: `${name}-${pod}` } })),
    ];
    await tryCreate("pods", { metadata: { ...template.metadata, name: pod }, spec: { ...template.spec, volumes } });
  }

  test("a revision that uses every field", async () => {
    await expectAccepted(fullBody());
    await expectAccepted({ ...fullBody(), stateful: false, volumeClaimTemplates: [] }).then(
      () => expect.unreachable("a mount without its volume was taken, so pods are not really tried"),
      (error: unknown) => expect(String(error)).toContain("volumeMounts"),
    );
  });

  test("whatever the validation takes", async () => {
    await fc.assert(
      fc.asyncProperty(acceptedBodies(SERVICE), (body) => expectAccepted(body)),
      { numRuns: 60, endOnFailure: true, interruptAfterTimeLimit: 40_000, markInterruptAsFailure: false },
    );
  });

  test("a revision over another as it takes it anew: nothing of the former stays", async () => {
    const bodies = acceptedBodies(SERVICE).map(withoutClaims);
    const pairs = fc.oneof(fc.tuple(bodies, bodies), fc.tuple(fc.constant(withoutClaims(fullBody())), bodies));
    const path = paths.set(namespace, `${SERVICE}-cell-a`);
    await fc.assert(
      fc.asyncProperty(pairs, async ([former, next]) => {
        const fresh = await apply<StatefulSet>(setOf(next), "statefulsets");
        await apply(setOf(former), "statefulsets", false);
        const over = await apply<StatefulSet>(setOf(next), "statefulsets");
        await client.request({ method: "DELETE", path, body: { propagationPolicy: "Background" } });
        expect(comparable(over)).toEqual(comparable(fresh));
      }),
      { numRuns: 20, endOnFailure: true, interruptAfterTimeLimit: 40_000, markInterruptAsFailure: false },
    );
  });
});

test("a Service that changes its type is replaced", async () => {
  const bench = await openBench();
  try {
    const { driver } = await bench.connect();
    const address = async (order: string, revision: number, type: "ClusterIP" | "Headless") => {
      const desired = bench.desired({ order, revision, tag: "1", replicas: 0 });
      const access = { services: [{ name: "http", type, ports: [{ port: 80 }] }] };
      const spec = fillDefaults({ ...desired.spec, access });
      await driver.apply({ ...desired, spec }, watchProgress());
      const path = paths.service(bench.namespace, "cart-http");
      return (await bench.admin.request<{ spec: { clusterIP: string } }>({ method: "GET", path })).spec.clusterIP;
    };
    expect(await address("o1", 1, "Headless")).toBe("None");
    expect(await address("o2", 2, "ClusterIP")).toMatch(/^[0-9a-f.:]+$/);
    expect(await address("o3", 3, "Headless")).toBe("None");
  } finally {
    bench.close();
  }
});

/** With volumes in place of the claim templates, which no StatefulSet lets one change. */
function withoutClaims({ volumeClaimTemplates = [], template, ...rest }: RevisionBody): RevisionBody {
  const volumes = [...(template.volumes ?? []), ...volumeClaimTemplates.map(({ name }) => ({ name, emptyDir: {} }))];
  return { ...rest, template: { ...template, volumes } };
}

/** Without the pull policies: left out, they follow the first tag that a container had (`latest` or another). */
function comparable({ spec: { template } }: StatefulSet): Template {
  const strip = <T extends { imagePullPolicy?: string }>({ imagePullPolicy: _policy, ...container }: T) => container;
  const spec = template.spec as Template["spec"] & { initContainers?: { imagePullPolicy?: string }[] };
  const initContainers = spec.initContainers?.map(strip);
  return {
    ...template,
    spec: {
      ...spec,
      containers: spec.containers.map(strip),
      ...(initContainers === undefined ? {} : { initContainers }),
    },
  };
}
