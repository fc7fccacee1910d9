/** What bodies of requests look like, by operation: shown in the OpenAPI document and on the reference page. */

const revision = {
  template: {
    containers: [{ name: "main", image: "shop/cart:1.1.0", ports: [{ name: "http", containerPort: 8080 }] }],
  },
  cells: { "cell-a": { replicas: 4 }, "cell-b": { replicas: 4 } },
  release: { strategy: "QUICK", minGroups: 3, beta: true, pause: "ALL", upgrade: "IN_PLACE", readySeconds: 10 },
};

const reasoned = { reason: "checkout fails for one in ten customers" };

/** From an operation's name to an example of its body, which its schema accepts. */
export const BODY_EXAMPLES: Readonly<Record<string, unknown>> = {
  putCluster: {
    access: "kubeconfig",
    kubeconfig:
      "apiVersion: v1\nkind: Config\nclusters: [{ name: east, cluster: { server: 'https://east.example:6443', " +
      "certificate-authority-data: LS0t… } }]\nusers: [{ name: cellwright, user: { token: … } }]\n" +
      "contexts: [{ name: east, context: { cluster: east, user: cellwright } }]\ncurrent-context: east\n",
  },
  putWorkspaceGroup: { description: "The online shop, in all its regions" },
  putWorkspace: { region: "eu-1", displayName: "Europe" },
  putCell: {
    workspace: "main",
    zone: "RZ01",
    az: "az-a",
    cluster: "east",
    nodeSelector: { cell: "cell-a" },
  },
  putApplication: { owner: "checkout-team", description: "Cart and payment" },
  putAppService: { application: "checkout", namespace: "shop" },
  createAppServiceRevision: revision,
  putAppServiceDraft: revision,
  importAppServiceDraft: {
    apiVersion: "cellwright.io/v1",
    kind: "Revision",
    metadata: { workspaceGroup: "shop", service: "cart", number: 2 },
    spec: revision,
  },
  putRoleBinding: { groupClaim: "checkout-developers", role: "developer", applications: ["checkout"] },
  changeImageAppService: { image: "shop/cart:1.1.1", title: "Cart 1.1.1" },
  scaleAppService: { cells: { "cell-a": 6 }, start: true },
  undeployAppService: { confirm: "cart" },
  createReleaseOrder: {
    workspaceGroup: "shop",
    title: "Cart 1.1.0",
    type: "GROUPED",
    apps: [{ service: "cart", revision: 2 }, { service: "web" }],
    dependencies: [{ service: "web", needs: ["cart"] }],
  },
  actOnReleaseOrder: reasoned,
  actOnReleaseOrderApp: reasoned,
  actOnReleaseOrderTask: reasoned,
};
