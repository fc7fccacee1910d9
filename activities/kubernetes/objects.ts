/** The parts of Kubernetes objects that we read, as they travel (dates are text). */

export type Meta = {
  name: string;
  namespace: string;
  uid: string;
  resourceVersion: string;
  generation?: number;
  creationTimestamp: string;
  deletionTimestamp?: string;
  finalizers?: string[];
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: { kind: string; name: string; uid: string; controller?: boolean }[];
};

export type ContainerState = {
  running?: { startedAt?: string };
  waiting?: { reason?: string; message?: string };
  terminated?: { reason?: string; exitCode: number; message?: string; startedAt?: string | null; containerID?: string };
};

export type ContainerStatus = {
  name: string;
  image?: string;
  containerID?: string;
  restartCount?: number;
  state?: ContainerState;
  lastState?: ContainerState;
};

export type PodObject = {
  metadata: Meta;
  spec: {
    nodeName?: string;
    containers: { name: string; image: string }[];
    initContainers?: { name: string; image: string }[];
    ephemeralContainers?: { name: string }[];
  };
  status?: {
    phase?: string;
    /** Why it has failed: in short, and in words. */
    reason?: string;
    message?: string;
    observedGeneration?: number;
    conditions?: { type: string; status: string; reason?: string; message?: string; lastTransitionTime?: string }[];
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
  };
};

export type SetObject = {
  metadata: Meta;
  spec: {
    replicas?: number;
    updateStrategy?: { type?: string };
    volumeClaimTemplates?: { metadata: { name: string }; spec?: { resources?: { requests?: { storage?: string } } } }[];
    template: { spec: { containers: { name: string; image: string }[] } };
  };
  status?: {
    observedGeneration?: number;
    replicas?: number;
    updatedReplicas?: number;
    currentRevision?: string;
    updateRevision?: string;
  };
};

export type ServiceObject = { metadata: Meta; spec: { clusterIP?: string } };
export type NodeObject = { metadata: Meta };
export type EventObject = {
  type?: string;
  reason?: string;
  message?: string;
  count?: number;
  firstTimestamp?: string | null;
  lastTimestamp?: string | null;
  eventTime?: string | null;
  series?: { count?: number; lastObservedTime?: string };
  /** `fieldPath`: of a container, `spec.containers{<name>}`. */
  involvedObject?: { fieldPath?: string };
  /** Who noted it. */
  reportingComponent?: string;
  source?: { component?: string };
};

export type List<T> = { metadata: { resourceVersion: string; continue?: string }; items: T[] };

/** The name of the StatefulSet that controls a pod. */
export function controllerOf(pod: PodObject): string | undefined {
  return pod.metadata.ownerReferences?.find((owner) => owner.controller === true && owner.kind === "StatefulSet")?.name;
}

/**
 * Whether `a` is a newer state than `b`, also across a recreation under the same name: resource versions of one cluster
 * are decimal numbers of one counter (a documented guarantee as of Kubernetes 1.35, and true of every API server on etcd
 * before).
 */
export function isNewer(a: Meta, b: Meta): boolean {
  return Number(a.resourceVersion) > Number(b.resourceVersion);
}
