/** How far a pod is on its way to the revision that its group is meant to have. An enumeration, so that schemas come from it, too. */
export const POD_STATES = ["NOT_UPDATED", "UPDATING", "UPDATED", "FAILED", "IGNORED"] as const;
export type PodState = (typeof POD_STATES)[number];
