/**
 * The floor of a change group by group: what a bare script needs that knows its StatefulSet and groups beforehand, keeps
 * no record, takes no epoch and survives nothing. Its own process: `node script.ts KUBECONFIG NAMESPACE`.
 */
import { AppsV1Api, CoreV1Api, KubeConfig, PatchStrategy, setHeaderOptions, Watch } from "@kubernetes/client-node";
import type { V1Pod } from "@kubernetes/client-node";
import { serveProgram } from "../program.ts";

/**
 * `prepare`: list and watch, as a script that has been started already. `patch`: change the pods in place, group after
 * group. `evict`: have them made anew, group after group.
 */
export type ScriptMessage =
  | { do: "prepare" }
  | { do: "patch" | "evict"; set: string; groups: string[][]; image: string };

/** Requests at once. */
const AT_ONCE = 32;

const [file = "", namespace = ""] = process.argv.slice(2);
const config = new KubeConfig();
config.loadFromFile(file);
const [core, apps] = [config.makeApiClient(CoreV1Api), config.makeApiClient(AppsV1Api)];
const jsonPatch = setHeaderOptions("Content-Type", PatchStrategy.JsonPatch);
const pods = new Map<string, V1Pod>();
let changed = (): void => undefined;
let stopWatch = (): void => undefined;

serveProgram((told) => {
  const message = told as ScriptMessage;
  return message.do === "prepare" ? prepare() : change(message);
});

async function prepare(): Promise<void> {
  stopWatch();
  const list = await core.listNamespacedPod({ namespace });
  for (const pod of list.items) pods.set(pod.metadata?.name ?? "", pod);
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const resourceVersion = list.metadata?.resourceVersion ?? "";
  const watch = await new Watch(config).watch(
    path,
    { resourceVersion },
    (_type, pod: V1Pod) => {
      pods.set(pod.metadata?.name ?? "", pod);
      changed();
    },
    () => undefined,
  );
  stopWatch = () => watch.abort();
}

async function change({ do: how, set, groups, image }: Exclude<ScriptMessage, { do: "prepare" }>): Promise<void> {
  const revision = await applyTemplate(set, image, how === "evict");
  for (const group of groups) {
    const before = new Map(group.map((name) => [name, pods.get(name)?.metadata?.uid]));
    const queue = group.values();
    const worker = async (): Promise<void> => {
      for (const name of queue) await (how === "patch" ? patch(name, image, revision) : evict(name));
    };
    const isNew = (name: string): boolean =>
      isUpdated(pods.get(name), image) && (how === "patch" || pods.get(name)?.metadata?.uid !== before.get(name));
    const updated = new Promise<void>((resolve) => {
      changed = () => {
        if (group.every(isNew)) resolve();
      };
    });
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, group.length) }, worker));
    changed();
    await updated;
  }
  stopWatch();
}

/** Resolves with the revision that the controller has given the template. `renews`: pods that die come back at it. */
async function applyTemplate(name: string, image: string, renews: boolean): Promise<string> {
  const strategy = renews ? { type: "OnDelete" } : { type: "RollingUpdate", rollingUpdate: { partition: 2 ** 31 - 1 } };
  const body = [
    { op: "replace", path: "/spec/template/spec/containers/0/image", value: image },
    { op: "replace", path: "/spec/updateStrategy", value: strategy },
  ];
  let set = await apps.patchNamespacedStatefulSet({ namespace, name, body }, jsonPatch);
  const generation = set.metadata?.generation ?? 0;
  while ((set.status?.observedGeneration ?? 0) < generation)
    set = await apps.readNamespacedStatefulSet({ namespace, name });
  return set.status?.updateRevision ?? "";
}

async function patch(name: string, image: string, revision: string): Promise<void> {
  const body = [
    { op: "test", path: "/metadata/uid", value: pods.get(name)?.metadata?.uid },
    { op: "replace", path: "/spec/containers/0/image", value: image },
    { op: "replace", path: "/metadata/labels/controller-revision-hash", value: revision },
  ];
  await core.patchNamespacedPod({ namespace, name, body }, jsonPatch);
}

async function evict(name: string): Promise<void> {
  await core.createNamespacedPodEviction({ namespace, name, body: { metadata: { name, namespace } } });
}

function isUpdated(pod: V1Pod | undefined, image: string): boolean {
  return (
    pod?.status?.containerStatuses?.[0]?.image === image &&
    pod.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true
  );
}
