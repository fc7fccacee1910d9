/** A pod and the task that moves it. Kept beside the pipelines, which must stay small. */
export type PlannedPod = { task: string; service: string; group: string; cell: string; cluster: string; pod: string };
