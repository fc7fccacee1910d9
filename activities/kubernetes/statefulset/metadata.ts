/**
 * What Cellwright notes on a StatefulSet and its pods. This is the only memory of the driver: everything else is
 * observed.
 */
import { CellwrightFailure } from "../../../domain/failures.ts";
import { formatOrdinals, parseOrdinals } from "../../../domain/workload/ordinals.ts";
import { LABELS, MANAGED_BY } from "../../../domain/workload/render.ts";
import type { PodObject, SetObject } from "../objects.ts";

/** Annotations of the set. */
const SET = {
  /** Counts up with every take-over; see `epoch.ts`. */
  epoch: "cellwright.io/epoch",
  /** Who holds the epoch; empty: closed, nothing can be in flight. */
  holder: "cellwright.io/epoch-holder",
  /** Who took it last; stays when it is closed. */
  taker: "cellwright.io/epoch-taker",
  /** Ordinals that are meant to be at the template's revision, as `0-3,7`. */
  enrolled: "cellwright.io/enrolled",
  /** The order whose template this is. */
  order: "cellwright.io/order",
  /** The revision that the template was rendered from. */
  revision: "cellwright.io/revision",
  /** Digest of the pod template without images. */
  shape: "cellwright.io/template-shape",
  /** Digest of what Kubernetes never lets one change. */
  fixed: "cellwright.io/fixed",
  /** `Recreate`. */
  recreate: "cellwright.io/recreate",
  /** JSON `Previous`: what `apply` replaced; `null`: there was no workload. */
  previous: "cellwright.io/previous",
  /** Attempts of the order up to this one may not change anything here any more. */
  frozen: "cellwright.io/frozen",
} as const;

/** Annotations of a pod. */
export const POD = {
  /** Epoch of the last change or stamp. Only ever grows. */
  epoch: "cellwright.io/epoch",
  /** JSON: container → id before the patch, for the containers whose image it changed. */
  previousContainers: "cellwright.io/previous-containers",
  /** When it was patched, ISO 8601. */
  movedAt: "cellwright.io/moved-at",
  /** Digest of the pod template without images that it was born from; part of the template. */
  shape: SET.shape,
} as const;

/** Of an annotation, in a JSON patch. */
export function annotationPath(key: string): string {
  return `/metadata/annotations/${key.replace("/", "~1")}`;
}

export const EPOCH_PATH = annotationPath(POD.epoch);

/**
 * Which pods are recreated: `all` (the revision's policy), those that are `different` from the template in more than
 * images, or none, since at the time of the template's arrival there was no such pod. A pod that is different is never
 * changed in place, whatever is noted here.
 */
export type Recreate = "" | "different" | "all";

/** What `apply` replaced, for `restore`. */
type Previous = { revision: number; order: string; enrolled: string; recreate: Recreate };

/** A StatefulSet's notes, read. */
export type Notes = {
  epoch: number;
  holder: string;
  taker: string;
  enrolled: Set<number>;
  order: string;
  /** 0: made, but no order has made it its own yet. */
  revision: number;
  shape: string;
  fixed: string;
  recreate: Recreate;
  /** `undefined`: not known (restored, or never applied by us). */
  previous: Previous | null | undefined;
  /** Attempts of the order up to this one act no more: it was frozen. 0: it was not. */
  frozenUpTo: number;
};

/** The notes as they stand on the set, by annotation; null: it is not there. */
export function storedNotes({ metadata: { annotations } }: SetObject): [annotation: string, text: string | null][] {
  return Object.values(SET).map((key) => [key, annotations?.[key] ?? null]);
}

/** Throws Invalid when a hand has made them unreadable. */
export function readNotes(set: SetObject): Notes {
  const all = set.metadata.annotations ?? {};
  const text = (key: string) => all[key] ?? "";
  const where = `StatefulSet ${set.metadata.namespace}/${set.metadata.name}`;
  try {
    return {
      epoch: wholeNumber(text(SET.epoch)),
      holder: text(SET.holder),
      taker: text(SET.taker),
      enrolled: parseOrdinals(text(SET.enrolled)),
      order: text(SET.order),
      revision: wholeNumber(text(SET.revision)),
      shape: text(SET.shape),
      fixed: text(SET.fixed),
      recreate: readRecreate(text(SET.recreate)),
      previous: text(SET.previous) === "" ? undefined : (JSON.parse(text(SET.previous)) as Previous | null),
      frozenUpTo: wholeNumber(text(SET.frozen)),
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CellwrightFailure(
      "Invalid",
      `${where} carries notes that Cellwright did not write (${why}); repair or remove its annotations cellwright.io/*`,
    );
  }
}

export type ProgressNotes = Pick<Notes, "epoch" | "holder" | "taker" | "enrolled" | "frozenUpTo">;

export function writeNotes(notes: Notes): Record<string, string> {
  return {
    ...writeProgress(notes),
    [SET.order]: notes.order,
    [SET.revision]: String(notes.revision),
    [SET.shape]: notes.shape,
    [SET.fixed]: notes.fixed,
    [SET.recreate]: notes.recreate,
    [SET.previous]: notes.previous === undefined ? "" : JSON.stringify(notes.previous),
  };
}

/** The part that changes while pods move. */
export function writeProgress(notes: ProgressNotes): Record<string, string> {
  return {
    [SET.epoch]: String(notes.epoch),
    [SET.holder]: notes.holder,
    [SET.taker]: notes.taker,
    [SET.enrolled]: formatOrdinals(notes.enrolled),
    [SET.frozen]: notes.frozenUpTo === 0 ? "" : String(notes.frozenUpTo),
  };
}

/** Whether a freeze has made this attempt void. */
export function isFrozenFor(notes: Pick<Notes, "frozenUpTo">, attempt: number): boolean {
  return notes.frozenUpTo > 0 && attempt <= notes.frozenUpTo;
}

/** A pod's epoch; undefined on a newborn. */
export function epochOf(pod: PodObject): number | undefined {
  const text = pod.metadata.annotations?.[POD.epoch];
  return text === undefined ? undefined : wholeNumber(text);
}

/** True for a StatefulSet that Cellwright made for this service and cell. */
export function isOurs(set: SetObject, owner: { workspaceGroup: string; service: string; cell: string }): boolean {
  const labels = set.metadata.labels ?? {};
  return (
    labels[LABELS.managedBy] === MANAGED_BY &&
    labels[LABELS.workspaceGroup] === owner.workspaceGroup &&
    labels[LABELS.service] === owner.service &&
    labels[LABELS.cell] === owner.cell
  );
}

/** The hash label of pods at the template's revision; undefined until the controller has seen the template. */
export function targetHash(set: SetObject): string | undefined {
  const { status, metadata } = set;
  return (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0) ? status?.updateRevision : undefined;
}

/** Whether pods that die come back at the template's revision, whatever their group. */
export function isWindowOpen(set: SetObject): boolean {
  return set.spec.updateStrategy?.type === "OnDelete";
}

/** A workload that was made, but no order has made it its own: its maker died in between, or came too late. */
export function isUnclaimed(notes: Pick<Notes, "order">): boolean {
  return notes.order === "";
}

/** Whether this pod can only get to the template's revision by being recreated. */
export function mustBeRecreated(notes: Pick<Notes, "recreate" | "shape">, pod: PodObject): boolean {
  return notes.recreate === "all" || pod.metadata.annotations?.[POD.shape] !== notes.shape;
}

/** Container → image of the set's template. */
export function templateImages(set: SetObject): Record<string, string> {
  return Object.fromEntries(set.spec.template.spec.containers.map(({ name, image }) => [name, image]));
}

function readRecreate(text: string): Recreate {
  if (text === "" || text === "different" || text === "all") return text;
  throw new RangeError(`"${text}" does not say which pods are recreated`);
}

function wholeNumber(text: string): number {
  if (text === "") return 0;
  if (!/^\d{1,15}$/.test(text)) throw new RangeError(`"${text}" is not a whole number`);
  return Number(text);
}
