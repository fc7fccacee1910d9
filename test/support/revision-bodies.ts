/** Bodies of revisions: one that uses every field, and an arbitrary that reaches into their corners. */
import fc from "fast-check";
import type { RevisionBody } from "../../domain/catalogue/revision.ts";
import { checkRevision } from "../../domain/catalogue/validate.ts";

const REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution";

/** Uses every field that a revision has. */
export function fullBody(): RevisionBody {
  return {
    stateful: true,
    template: {
      labels: { tier: "front", "example.com/team": "shop" },
      annotations: { "example.com/note": 'any text, "quoted"', plain: "" },
      initContainers: [
        {
          name: "migrate",
          image: "shop/migrate:1",
          command: ["migrate"],
          args: ["--up"],
          env: [{ name: "DEPTH", value: "1" }],
          envFrom: [{ secretRef: { name: "database" } }],
          resources: { requests: { cpu: "10m", memory: "16Mi" } },
          volumeMounts: [{ name: "data", mountPath: "/data", subPath: "schema" }],
        },
      ],
      containers: [
        {
          name: "web",
          image: "registry.example.com:5000/shop/web:1.0.0",
          command: ["web"],
          args: ["--verbose", ""],
          env: [
            { name: "LEVEL", value: "1" },
            { name: "EMPTY", value: "" },
            { name: "COLOUR", valueFrom: { configMapKeyRef: { name: "look", key: "colour", optional: true } } },
            { name: "PASSWORD", valueFrom: { secretKeyRef: { name: "database", key: "password" } } },
            { name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
            { name: "TIER", valueFrom: { fieldRef: { fieldPath: "metadata.labels['tier']" } } },
          ],
          envFrom: [
            { prefix: "CFG_", configMapRef: { name: "look", optional: true } },
            { secretRef: { name: "database" } },
          ],
          ports: [
            { name: "http", containerPort: 8080 },
            { containerPort: 9000, protocol: "UDP" },
          ],
          resources: { requests: { cpu: "100m", memory: "64Mi" }, limits: { cpu: "0.5", memory: "1Gi" } },
          readinessProbe: { httpGet: { path: "/ready?a=b", port: "http", scheme: "HTTPS" }, successThreshold: 2 },
          livenessProbe: { tcpSocket: { port: 8080 }, initialDelaySeconds: 0, periodSeconds: 5, timeoutSeconds: 2 },
          startupProbe: { exec: { command: ["test", "-e", "/started"] }, failureThreshold: 30 },
          lifecycle: {
            postStart: { httpGet: { path: "/warm", port: "http" } },
            preStop: { exec: { command: ["drain"] } },
          },
          volumeMounts: [
            { name: "data", mountPath: "/data" },
            { name: "config", mountPath: "/etc/shop", readOnly: true },
            { name: "keys", mountPath: "/etc/keys", subPath: "tls" },
            { name: "scratch", mountPath: "/tmp" },
            { name: "memory", mountPath: "/fast" },
            { name: "logs", mountPath: "/var/log/shop" },
            { name: "shared", mountPath: "/shared", readOnly: true },
          ],
        },
        { name: "proxy", image: "shop/proxy:2" },
      ],
      volumes: [
        {
          name: "config",
          configMap: {
            name: "look",
            items: [{ key: "shop.yaml", path: "conf.d/shop.yaml", mode: 256 }],
            defaultMode: 292,
            optional: true,
          },
        },
        { name: "keys", secret: { secretName: "tls", items: [{ key: "tls.key", path: "key" }], optional: false } },
        { name: "scratch", emptyDir: {} },
        { name: "memory", emptyDir: { medium: "Memory", sizeLimit: "64Mi" } },
        { name: "logs", hostPath: { path: "/var/log/shop", type: "DirectoryOrCreate" } },
        { name: "shared", persistentVolumeClaim: { claimName: "shared", readOnly: true } },
      ],
      imagePullSecrets: [{ name: "registry" }],
      hostNetwork: true,
      terminationGracePeriodSeconds: 60,
      serviceAccountName: "web",
      affinity: {
        nodeAffinity: {
          [REQUIRED]: {
            nodeSelectorTerms: [
              {
                matchExpressions: [
                  { key: "disk", operator: "In", values: ["ssd", "nvme"] },
                  { key: "cores", operator: "Gt", values: ["3"] },
                  { key: "example.com/old", operator: "DoesNotExist" },
                ],
              },
            ],
          },
          [PREFERRED]: [
            { weight: 10, preference: { matchExpressions: [{ key: "zone", operator: "NotIn", values: ["a"] }] } },
          ],
        },
        podAffinity: {
          [REQUIRED]: [
            {
              labelSelector: { matchLabels: { app: "cache" } },
              topologyKey: "topology.kubernetes.io/zone",
              namespaces: ["tools"],
            },
          ],
          [PREFERRED]: [
            {
              weight: 1,
              podAffinityTerm: {
                labelSelector: { matchExpressions: [{ key: "app", operator: "Exists" }] },
                topologyKey: "kubernetes.io/hostname",
              },
            },
          ],
        },
        podAntiAffinity: {
          [REQUIRED]: [
            {
              labelSelector: { matchExpressions: [{ key: "noisy", operator: "In", values: ["yes"] }] },
              topologyKey: "kubernetes.io/hostname",
            },
          ],
        },
        serviceAffinity: [{ service: "cart" }, { service: "catalog", topologyKey: "rack", weight: 100 }],
        serviceAntiAffinity: [{ service: "batch", weight: 5 }, { service: "search" }],
      },
      topologySpreadConstraints: [
        { maxSkew: 2, topologyKey: "kubernetes.io/hostname", whenUnsatisfiable: "DoNotSchedule", minDomains: 2 },
        { topologyKey: "rack", whenUnsatisfiable: "ScheduleAnyway" },
      ],
      tolerations: [
        { key: "dedicated", value: "shop", effect: "NoSchedule" },
        { key: "example.com/slow", operator: "Exists", effect: "NoExecute", tolerationSeconds: 30 },
        { operator: "Exists", effect: "PreferNoSchedule" },
      ],
    },
    volumeClaimTemplates: [
      { name: "data", accessModes: ["ReadWriteOnce", "ReadOnlyMany"], storageClassName: "fast", size: "1Gi" },
    ],
    access: {
      services: [
        {
          name: "http",
          type: "ClusterIP",
          ports: [
            { name: "web", port: 80, targetPort: "http" },
            { name: "stats", port: 9000, protocol: "UDP" },
          ],
        },
        { name: "peers", type: "Headless" },
      ],
    },
    cells: {
      "cell-a": {
        replicas: 2,
        env: {
          web: [
            { name: "LEVEL", value: "2" },
            { name: "ONLY_HERE", value: "yes" },
          ],
        },
        image: { web: "shop/web:1.0.1", migrate: "shop/migrate:2" },
      },
      "cell-b": { replicas: 1 },
    },
    release: { strategy: "QUICK", minGroups: 2, beta: false, pause: "OFF", upgrade: "RECREATE", readySeconds: 1 },
  };
}

const LOWER = "abcxyz0189".split("");
const dashed = fc.oneof(
  fc.constantFrom("a", "0", "0-0", "a--b", "x".repeat(63), `a${"-".repeat(61)}b`),
  fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/),
);
const dnsLabel = fc.oneof(
  fc.constantFrom("a", "a--b", "x".repeat(20)),
  fc.stringMatching(/^[a-z]([a-z0-9-]{0,8}[a-z0-9])?$/),
);
const objectName = fc.oneof(
  fc.constantFrom("a.b", "0.0", "a-b.c-d", `${"a".repeat(126)}.${"b".repeat(126)}`, "x".repeat(253)),
  dashed,
);
const dataKey = fc.oneof(
  fc.constantFrom(".hidden", "-", "_", "a..b", "A.B-c_d", "k".repeat(253), "..", "..a", "."),
  fc.stringMatching(/^[A-Za-z0-9_.-]{1,12}$/),
);
const variableName = fc.oneof(
  fc.constantFrom("_", "-", ".a", "a.b-c", "A".repeat(256), "..", ".", "..A", "A=B"),
  fc.stringMatching(/^[A-Za-z_.-][A-Za-z0-9_.-]{0,10}$/),
);
const labelKey = fc.oneof(
  fc.constantFrom(
    "a",
    "A_b.C",
    "example.com/X",
    `${"a".repeat(253)}/${"b".repeat(63)}`,
    `${"a".repeat(254)}/b`,
    "a/b/c",
    "-a",
    "/a",
    "constructor",
    "X.y/z",
  ),
  fc.stringMatching(/^[A-Za-z0-9]([A-Za-z0-9_.-]{0,8}[A-Za-z0-9])?$/),
);
const labelValue = fc.oneof(
  fc.constantFrom("", "a", "A_b.C", "v".repeat(63), "-x"),
  fc.stringMatching(/^[A-Za-z0-9]([A-Za-z0-9_.-]{0,8}[A-Za-z0-9])?$/),
);
const anyText = fc.oneof(fc.constantFrom("", " ", "$(HOME)", "a\nb", "✓", "\u0001", "x".repeat(500)), fc.string());
const portNumber = fc.constantFrom(1, 80, 8080, 65_535);
const portName = fc.constantFrom("http", "a", "0a", "a-b-c", "x".repeat(15));
const quantity = fc.constantFrom("0", "1", "100m", "0.5", "1e3", "1E", "1Ei", "128Mi", "1.5Gi", "8E", "+1", ".5", "5.");
const protocol = fc.constantFrom("TCP" as const, "UDP" as const);
const permission = fc.integer({ min: 0, max: 511 });
const anyPath = fc.oneof(
  fc.constantFrom("/a", "/", "/a/", "//", "/.", "/a/./b", "/a..b", "/..a", "/a/..", "/…", "/a b", "/a\nb"),
  fc.array(fc.constantFrom(...LOWER), { minLength: 1, maxLength: 5 }).map((steps) => `/${steps.join("/")}`),
);
const relative = fc.oneof(
  fc.constantFrom("a", ".", "a/", "a//b", "..a", "a..", ".a", "a/..b", "./a", "a b"),
  fc.array(fc.constantFrom(...LOWER), { minLength: 1, maxLength: 3 }).map((steps) => steps.join("/")),
);

/** All of `required`; each of `optional` or not. */
function some<R extends object, O extends object>(
  required: { [K in keyof R]: fc.Arbitrary<R[K]> },
  optional: { [K in keyof O]: fc.Arbitrary<O[K]> },
) {
  return fc
    .tuple(fc.record(required), fc.record(optional, { requiredKeys: [] }))
    .map(([always, sometimes]) => ({ ...always, ...sometimes }) as R & Partial<O>);
}
function few<T>(item: fc.Arbitrary<T>, maxLength = 3) {
  return fc.array(item, { maxLength });
}

const words = fc.array(anyText, { minLength: 1, maxLength: 3 });
const optional = { optional: fc.boolean() };
const reference = some({ name: objectName }, optional);
const keyReference = some({ name: objectName, key: dataKey }, optional);
const valueFrom = fc.oneof(
  keyReference.map((configMapKeyRef) => ({ configMapKeyRef })),
  keyReference.map((secretKeyRef) => ({ secretKeyRef })),
  fc
    .constantFrom(
      "metadata.name",
      "metadata.uid",
      "metadata.namespace",
      "metadata.labels['example.com/a']",
      "metadata.annotations['a']",
      "spec.nodeName",
      "spec.serviceAccountName",
      "status.hostIP",
      "status.hostIPs",
      "status.podIP",
      "status.podIPs",
      "status.phase",
      "metadata.labels['']",
    )
    .map((fieldPath) => ({ fieldRef: { fieldPath } })),
);
const variable = fc.oneof(
  fc.record({ name: variableName, value: anyText }),
  fc.record({ name: variableName, valueFrom }),
);
const source = fc.oneof(
  some({ configMapRef: reference }, { prefix: variableName }),
  some({ secretRef: reference }, { prefix: fc.constantFrom("", "A_") }),
);
const httpGet = some(
  { path: fc.constantFrom("/", "/a?b=c#d", "/%zz", '/"'), port: fc.oneof(portNumber, portName) },
  { scheme: fc.constantFrom("HTTP" as const, "HTTPS" as const) },
);
const exec = words.map((command) => ({ exec: { command } }));
const timing = {
  initialDelaySeconds: fc.integer({ min: 0, max: 3600 }),
  timeoutSeconds: fc.integer({ min: 1, max: 3600 }),
  periodSeconds: fc.integer({ min: 1, max: 3600 }),
  failureThreshold: fc.integer({ min: 1, max: 100 }),
};
const probe = fc
  .tuple(
    fc.oneof(
      httpGet.map((get) => ({ httpGet: get })),
      fc.oneof(portNumber, portName).map((port) => ({ tcpSocket: { port } })),
      exec,
    ),
    fc.record(timing, { requiredKeys: [] }),
  )
  .map(([action, times]) => ({ ...action, ...times }));
const hook = fc.oneof(
  httpGet.map((get) => ({ httpGet: get })),
  exec,
);
const resources = fc.record(
  {
    requests: fc.record({ cpu: quantity, memory: quantity }, { requiredKeys: [] }),
    limits: fc.record({ cpu: quantity, memory: quantity }, { requiredKeys: [] }),
  },
  { requiredKeys: [] },
);
const volumeNames = ["data", "v0", "v1", "v2", "v3"];
const mount = some(
  { name: fc.constantFrom(...volumeNames), mountPath: anyPath },
  { subPath: relative, readOnly: fc.boolean() },
);
const image = fc.constantFrom(
  "web",
  "shop/web:1",
  "localhost/web:latest",
  `shop/web@sha256:${"a".repeat(64)}`,
  "registry.example.com:5000/shop/web:v1",
);
const common = {
  command: words,
  args: words,
  env: few(variable),
  envFrom: few(source, 2),
  resources,
  volumeMounts: few(mount),
};
const container = some(
  { name: dnsLabel, image },
  {
    ...common,
    ports: few(some({ containerPort: portNumber }, { name: portName, protocol })),
    readinessProbe: probe,
    livenessProbe: probe,
    startupProbe: probe,
    lifecycle: fc.record({ postStart: hook, preStop: hook }, { requiredKeys: [] }),
  },
);
const files = {
  items: fc.array(some({ key: dataKey, path: relative }, { mode: permission }), { minLength: 1, maxLength: 2 }),
  defaultMode: permission,
  ...optional,
};
const hostPathType = fc.constantFrom("" as const, "File" as const, "Socket" as const, "BlockDevice" as const);
const volumeSource = fc.oneof(
  some({ name: objectName }, files).map((configMap) => ({ configMap })),
  some({ secretName: objectName }, files).map((secret) => ({ secret })),
  fc
    .record({ medium: fc.constantFrom("" as const, "Memory" as const), sizeLimit: quantity }, { requiredKeys: [] })
    .map((emptyDir) => ({ emptyDir })),
  some({ path: anyPath }, { type: hostPathType }).map((hostPath) => ({ hostPath })),
  some({ claimName: objectName }, { readOnly: fc.boolean() }).map((persistentVolumeClaim) => ({
    persistentVolumeClaim,
  })),
);
const expression = fc.oneof(
  fc.record({
    key: labelKey,
    operator: fc.constantFrom("In" as const, "NotIn" as const),
    values: fc.array(labelValue, { minLength: 1, maxLength: 2 }),
  }),
  fc.record({ key: labelKey, operator: fc.constantFrom("Exists" as const, "DoesNotExist" as const) }),
);
const nodeExpression = fc.oneof(
  expression,
  fc.record({
    key: labelKey,
    operator: fc.constantFrom("Gt" as const, "Lt" as const),
    values: fc.tuple(fc.constantFrom("0", "-1", "00", "999999999999999999")),
  }),
);
const nodeTerm = fc.record({ matchExpressions: fc.array(nodeExpression, { minLength: 1, maxLength: 2 }) });
const weight = fc.integer({ min: 1, max: 100 });
const podTerm = some(
  {
    labelSelector: fc.oneof(
      fc.record({ matchExpressions: fc.array(expression, { minLength: 1, maxLength: 2 }) }),
      fc.dictionary(labelKey, labelValue, { minKeys: 1, maxKeys: 2, noNullPrototype: true }).map((matchLabels) => ({
        matchLabels,
      })),
    ),
    topologyKey: labelKey,
  },
  { namespaces: few(dashed, 2) },
);
const podAffinity = fc.record(
  { [REQUIRED]: few(podTerm, 2), [PREFERRED]: few(fc.record({ weight, podAffinityTerm: podTerm }), 2) },
  { requiredKeys: [] },
);
const serviceTerms = few(some({ service: dnsLabel }, { topologyKey: labelKey, weight }), 2);
const affinity = fc.record(
  {
    nodeAffinity: fc.record(
      {
        [REQUIRED]: fc.record({ nodeSelectorTerms: fc.array(nodeTerm, { minLength: 1, maxLength: 2 }) }),
        [PREFERRED]: few(fc.record({ weight, preference: nodeTerm }), 2),
      },
      { requiredKeys: [] },
    ),
    podAffinity,
    podAntiAffinity: podAffinity,
    serviceAffinity: serviceTerms,
    serviceAntiAffinity: serviceTerms,
  },
  { requiredKeys: [] },
);
const toleration = fc.oneof(
  some({ key: labelKey }, { value: labelValue, effect: fc.constantFrom("NoSchedule" as const, "NoExecute" as const) }),
  some(
    { operator: fc.constant("Exists" as const), effect: fc.constant("NoExecute" as const) },
    { key: labelKey, tolerationSeconds: fc.integer({ min: 0, max: 86_400 }) },
  ),
);
const spread = some(
  { topologyKey: labelKey },
  {
    maxSkew: fc.integer({ min: 1, max: 1000 }),
    whenUnsatisfiable: fc.constantFrom("DoNotSchedule" as const, "ScheduleAnyway" as const),
    minDomains: fc.integer({ min: 1, max: 1000 }),
  },
);
const servicePort = some(
  { port: portNumber },
  { name: portName, targetPort: fc.oneof(portNumber, portName), protocol },
);
const claim = some(
  {
    name: fc.constantFrom("data", "claim-1"),
    accessModes: fc.uniqueArray(
      fc.constantFrom("ReadWriteOnce" as const, "ReadOnlyMany" as const, "ReadWriteOncePod" as const),
      { minLength: 1 },
    ),
    size: quantity,
  },
  { storageClassName: objectName },
);
const labels = fc.dictionary(labelKey, labelValue, { maxKeys: 2, noNullPrototype: true });

/** Mostly valid by construction; every part of it also gives what is not. */
const wild: fc.Arbitrary<RevisionBody> = fc
  .record({
    pod: fc.record(
      {
        labels,
        annotations: fc.dictionary(labelKey, anyText, { maxKeys: 2, noNullPrototype: true }),
        initContainers: few(some({ name: dnsLabel, image }, common), 1),
        imagePullSecrets: few(fc.record({ name: objectName }), 2),
        hostNetwork: fc.boolean(),
        terminationGracePeriodSeconds: fc.integer({ min: 0, max: 86_400 }),
        serviceAccountName: fc.constant("web"),
        affinity,
        tolerations: few(toleration, 2),
        topologySpreadConstraints: few(spread, 2),
      },
      { requiredKeys: [] },
    ),
    containers: fc.array(container, { minLength: 1, maxLength: 2 }),
    sources: few(volumeSource, 4),
    claims: few(claim, 2),
    stateful: fc.boolean(),
    services: few(
      some(
        { name: dnsLabel, type: fc.constantFrom("ClusterIP" as const, "Headless" as const) },
        { ports: few(servicePort, 2) },
      ),
      2,
    ),
    replicas: fc.integer({ min: 0, max: 5 }),
    env: few(fc.record({ name: variableName, value: anyText }), 2),
    own: fc.option(image),
  })
  .map(({ pod, containers, sources, claims, stateful, services, replicas, env, own }) => {
    const { name } = containers[0]!;
    return {
      stateful,
      template: { ...pod, containers, volumes: sources.map((one, index) => ({ name: `v${index}`, ...one })) },
      volumeClaimTemplates: stateful ? claims : [],
      access: { services },
      cells: { "cell-a": { replicas, env: { [name]: env }, image: own === null ? {} : { [name]: own } } },
    };
  });

/** Whatever the service's validation takes: of what it does not take, the parts that it names are left out. */
export function acceptedBodies(service: string): fc.Arbitrary<RevisionBody> {
  return wild
    .map((body) => {
      const copy = structuredClone(body);
      for (let round = 0; round < 40; round++) {
        const checked = checkRevision(service, copy);
        if (checked.ok) break;
        leaveOut(copy, checked.faults[0]!.field.split("/").slice(1));
      }
      return copy;
    })
    .filter((body) => checkRevision(service, body).ok);
}

/** Takes the smallest part away that can go: the list item that the path ends in, or an optional field around it. */
function leaveOut(body: object, place: string[]): void {
  if (place.length === 0) return;
  const steps = place.map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  const last = steps.findLastIndex((step) => /^[0-9]+$/.test(step));
  const target = last === -1 ? steps : steps.slice(0, steps.length - last > 2 ? last + 2 : last + 1);
  const key = target.at(-1) ?? "";
  let parent: unknown = body;
  for (const step of target.slice(0, -1)) parent = (parent as Record<string, unknown>)[step];
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else if (Object.hasOwn(parent as object, key)) delete (parent as Record<string, unknown>)[key];
  // It is missing and required: what should have had it goes.
  else leaveOut(body, place.slice(0, -1));
}
