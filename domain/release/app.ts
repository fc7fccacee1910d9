/** What is known of one app service when its release, or its rollback, is planned. */
import type { RevisionSpec } from "../catalogue/revision.ts";
import type { PodChange } from "../workload/planned.ts";

/** A cell of the revision, as it is now. */
export type ObservedCell = {
  cell: string;
  cluster: string;
  /** Digest of the pod template that the revision renders here, images left out. */
  shape: string;
  /** Digest of what can never be changed on a workload. */
  fixed: string;
  /** The live workload; absent before the first deployment. */
  workload?: {
    replicas: number;
    revision: number;
    fixed: string;
    /** Every pod is, and would come back, at the live template. */
    promoted: boolean;
  };
  /** The pods that exist; `shape`: of the template that each was born from. */
  pods: { name: string; shape?: string }[];
  /** What is different from the live template, in sentences for people. */
  difference: {
    /** Containers whose image changes. */
    images: string[];
    /** Why pods cannot be changed in place. */
    recreate: string[];
    /** What cannot be changed at all. */
    fixed: string[];
    /** Services that come, go or change. */
    services: string[];
  };
};

/** A cell in which the service runs and the revision does not want it. `revision`: one that says where the cell is. */
export type LeavingCell = { cell: string; cluster: string; revision: number; replicas: number };

export type ReleaseApp = {
  service: string;
  revision: number;
  spec: RevisionSpec;
  cells: ObservedCell[];
  leaving: LeavingCell[];
};

/** Whether the revision's pods look as those that run in a cell: then a release only adds or takes away. */
export function isUnchanged({ workload, difference }: ObservedCell): boolean {
  return workload?.promoted === true && difference.images.length === 0 && difference.recreate.length === 0;
}

/** How a pod gets to the revision, and why it cannot keep its address. */
export function changeOf(app: ReleaseApp, cell: ObservedCell, name: string): { change: PodChange; why?: string } {
  const pod = cell.pods.find((one) => one.name === name);
  if (!pod) return { change: "CREATE" };
  if (app.spec.release.upgrade === "RECREATE") {
    return { change: "RECREATE", why: "the revision's policy is to recreate pods (release.upgrade RECREATE)" };
  }
  if (pod.shape === cell.shape) return { change: "IN_PLACE" };
  const why = cell.difference.recreate.slice(0, 3).join("; ");
  const more = cell.difference.recreate.length - 3;
  return {
    change: "RECREATE",
    why: why === "" ? "it was born from another template" : `${why}${more > 0 ? `; and ${more} more` : ""}`,
  };
}

/** Why this revision cannot be released here; each a sentence that says what to do. */
export function refusalsOf(app: ReleaseApp): string[] {
  return app.cells.flatMap((cell) => {
    if (!cell.workload || cell.workload.fixed === cell.fixed) return [];
    const what = cell.difference.fixed.length > 0 ? ` (${cell.difference.fixed.join("; ")})` : "";
    return [
      `${app.service} revision ${app.revision} changes what Kubernetes never changes on the workload in cell ${cell.cell}${what}: keep it as it is in revision ${cell.workload.revision}, or take the cell out, release, and put it in again`,
    ];
  });
}
