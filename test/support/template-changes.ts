/** Changes of an app service, one of each kind, and how its one pod gets there. */
import type { RevisionBody } from "../../domain/catalogue/revision.ts";

type Template = RevisionBody["template"];
type Container = Template["containers"][number];
type Change = (body: RevisionBody) => RevisionBody;

/** Value of a variable and of an annotation. */
const secret = "open-sesame";

const base: Change = (body) => ({
  ...body,
  template: {
    ...body.template,
    annotations: { note: "1" },
    volumes: [{ name: "shared", emptyDir: {} }],
    initContainers: [{ name: "prepare", image: "shop/prepare:1" }],
    containers: body.template.containers.map((container) => ({
      ...container,
      volumeMounts: [{ name: "shared", mountPath: "/shared" }],
    })),
  },
});

const template =
  (part: Partial<Template>): Change =>
  (body) => ({ ...body, template: { ...body.template, ...part } });

const main =
  (part: Partial<Container>): Change =>
  (body) => {
    const containers = body.template.containers.map((container) => ({ ...container, ...part }));
    return template({ containers })(body);
  };

const cell =
  (part: NonNullable<RevisionBody["cells"][string]>): Change =>
  (body) => ({ ...body, cells: { ...body.cells, "cell-a": { replicas: 1, ...part } } });

/** `preview`: of each pod that changes, why it is recreated, or else how it changes. */
const changes: Record<string, { change: Change; preview: string[] }> = {
  image: { change: main({ image: "shop/cart:2" }), preview: ["IN_PLACE"] },
  replicas: { change: cell({ replicas: 2 }), preview: ["CREATE"] },
  policy: { change: (body) => ({ ...body, release: { ...body.release, minGroups: 2 } }), preview: [] },
  Services: {
    change: (body) => ({ ...body, access: { services: [{ name: "http", type: "ClusterIP", ports: [{ port: 80 }] }] } }),
    preview: [],
  },
  "policy to recreate": {
    change: (body) => main({ image: "shop/cart:2" })({ ...body, release: { ...body.release, upgrade: "RECREATE" } }),
    preview: ["the revision's policy is to recreate pods (release.upgrade RECREATE)"],
  },
  "another container": {
    change: (body) =>
      template({ containers: [...body.template.containers, { name: "side", image: "shop/pay:1" }] })(body),
    preview: ["container side added"],
  },
  "image of an init container": {
    change: template({ initContainers: [{ name: "prepare", image: "shop/prepare:2" }] }),
    preview: ["init container prepare: image shop/prepare:1 -> shop/prepare:2"],
  },
  "variable's value": {
    change: main({ env: [{ name: "LEVEL", value: secret }] }),
    preview: ["container main: variable LEVEL changed"],
  },
  "variable of one cell": {
    change: cell({ env: { main: [{ name: "TOKEN", value: secret }] } }),
    preview: ["container main: variable TOKEN added"],
  },
  "variables from a Secret": {
    change: main({ envFrom: [{ secretRef: { name: "database" } }] }),
    preview: ["container main: envFrom added"],
  },
  resources: {
    change: main({ resources: { limits: { memory: "1Gi" } } }),
    preview: ["container main: resources added"],
  },
  probe: {
    change: main({ readinessProbe: { tcpSocket: { port: 8080 } } }),
    preview: ["container main: readinessProbe added"],
  },
  hook: {
    change: main({ lifecycle: { preStop: { exec: { command: ["drain"] } } } }),
    preview: ["container main: lifecycle added"],
  },
  mount: {
    change: main({ volumeMounts: [{ name: "shared", mountPath: "/shared", readOnly: true }] }),
    preview: ["container main: mount /shared: readOnly true added"],
  },
  "source of a volume": {
    change: template({ volumes: [{ name: "shared", persistentVolumeClaim: { claimName: "shared" } }] }),
    preview: ["volume shared: emptyDir removed; volume shared: persistentVolumeClaim added"],
  },
  label: { change: template({ labels: { tier: "front" } }), preview: ["label tier front added"] },
  annotation: { change: template({ annotations: { note: secret } }), preview: ["annotation note changed"] },
  "grace period": {
    change: template({ terminationGracePeriodSeconds: 60 }),
    preview: ["pod: terminationGracePeriodSeconds 30 -> 60"],
  },
  "host network": {
    change: template({ hostNetwork: true }),
    preview: [
      "pod: hostNetwork false -> true; pod: dnsPolicy ClusterFirst -> ClusterFirstWithHostNet; pod: affinity added",
    ],
  },
  affinity: {
    change: template({ affinity: { serviceAntiAffinity: [{ service: "cart" }] } }),
    preview: ["pod: affinity added"],
  },
};

export const templateChanges = { base, changes, secret };
