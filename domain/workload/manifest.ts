/** What everything that is rendered for Kubernetes shares: its form, its labels, its names. */
import type { RevisionSpec } from "../catalogue/revision.ts";
import type { Placement } from "./placement.ts";

export type Json = string | number | boolean | null | undefined | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };
type Meta = { name: string; namespace: string; labels: Record<string, string> };
export type Manifest = { apiVersion: string; kind: string; metadata: Meta; spec: JsonObject };
/** What is rendered from: where, and which spec. */
export type Rendering = { placement: Placement; spec: RevisionSpec };

/** Value of `app.kubernetes.io/managed-by` on everything that is ours. */
export const MANAGED_BY = "cellwright";

export const LABELS = {
  managedBy: "app.kubernetes.io/managed-by",
  workspaceGroup: "cellwright.io/workspace-group",
  service: "cellwright.io/service",
  cell: "cellwright.io/cell",
  /** On every pod that takes traffic; in the template and in the Services' selectors, never in the workload's. */
  serving: "serving",
  /** The StatefulSet controller's own: which ControllerRevision a pod counts as. */
  hash: "controller-revision-hash",
} as const;

/** Labels of everything that belongs to an app service. */
export function ownLabels(placement: Placement): Record<string, string> {
  return {
    "app.kubernetes.io/name": placement.service,
    "app.kubernetes.io/part-of": placement.application,
    [LABELS.managedBy]: MANAGED_BY,
    [LABELS.workspaceGroup]: placement.workspaceGroup,
    [LABELS.service]: placement.service,
  };
}

/** Labels that all pods of an app service have, and no others. */
export function serviceIdentity(workspaceGroup: string, service: string): Record<string, string> {
  return { [LABELS.workspaceGroup]: workspaceGroup, [LABELS.service]: service };
}

/** Labels that the pods of an app service in one cell have, and no others. */
export function cellIdentity({ workspaceGroup, service, cell }: Placement): Record<string, string> {
  return { ...serviceIdentity(workspaceGroup, service), [LABELS.cell]: cell };
}

function isEmpty(record: object): boolean {
  return Object.keys(record).length === 0;
}

/** `{ [name]: value }`, or nothing where the value is empty or missing. */
export function unlessEmpty(name: string, value: Json): JsonObject {
  const empty = value === undefined || (typeof value === "object" && value !== null && isEmpty(value));
  return empty ? {} : { [name]: value };
}

/** The entry of a record that people name the keys of: a container may be called "constructor". */
export function own<T>(record: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}
