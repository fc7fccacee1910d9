/** What can keep a pod from becoming what it should be. */
export type StuckKind =
  /** Its image cannot be had. */
  | "image"
  /** A container cannot be made from what it refers to: a missing ConfigMap or Secret, an invalid setting. */
  | "container"
  /** A container ends again and again. */
  | "crash-loop"
  /** No node takes it. */
  | "unschedulable"
  /** It runs, and a probe says that it does not work. */
  | "probe"
  /** A volume cannot be attached or mounted. */
  | "volume"
  /** Its sandbox (network, runtime) cannot be made. */
  | "sandbox"
  /** Its node does not report. */
  | "node"
  /** Deleted, and kept by finalizers. */
  | "finalizer"
  /** Deleted, and still there long after its grace period. */
  | "terminating"
  /** The API server does not let it be created or changed: quota, admission. */
  | "refused";

export type Stuck = {
  kind: StuckKind;
  /** What is wrong, in a person's words and the cluster's own. */
  what: string;
  /** What a person can do. */
  remedy: string;
  /**
   * Seconds for which it may pass by itself, counted from when this kind was first seen; absent: as long as the policy
   * waits for any progress.
   */
  patience?: number;
  /** How often the container in question has been restarted over the pod's life. */
  restarts?: number;
};
