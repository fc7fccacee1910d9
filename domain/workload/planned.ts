/**
 * How a pod gets to the revision: `CREATE` it is born so; `IN_PLACE` its containers are restarted with other images, and it
 * keeps its name and address; `RECREATE` it is evicted and comes back by the same name with another address.
 */
export const POD_CHANGES = ["CREATE", "IN_PLACE", "RECREATE"] as const;
export type PodChange = (typeof POD_CHANGES)[number];

/** A pod and the task that moves it. Kept beside the pipelines, which must stay small. */
export type PlannedPod = {
  task: string;
  service: string;
  group: string;
  cell: string;
  cluster: string;
  pod: string;
  change: PodChange;
  /** Why it is recreated, for a person. */
  why?: string;
};
