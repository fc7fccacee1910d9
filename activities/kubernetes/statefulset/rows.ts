/** The pods that matter to a group, judged. */
import { CellwrightFailure } from "../../../domain/failures.ts";
import { whyNot } from "../../../domain/workload/reason.ts";
import { imagesOf, LABELS, ordinalOf, workloadName } from "../../../domain/workload/render.ts";
import { judgePod, type Judgement, type PodFacts, type Target } from "../../../domain/workload/updated.ts";
import type { Standing } from "../../../domain/workload/wave.ts";
import type { Desired, GroupPart, PodProgress } from "../port.ts";
import type { NamespaceView } from "../view.ts";
import type { Cluster } from "./cluster.ts";
import type { Held } from "./held.ts";
import { podFacts } from "./facts.ts";
import { newHands, type Hands } from "./hands.ts";
import { readNotes, targetHash } from "./metadata.ts";

/** One workload's share of the group, while it is being moved. */
export type Part = {
  desired: Desired;
  name: string;
  ordinals: Set<number>;
  view: NamespaceView;
  release: () => void;
  hands: Hands;
  held: Held | undefined;
  /** Hash of the template's revision, once known under this epoch: it stays, whatever else of the set changes. */
  target: string | undefined;
  /** Ordinals of the group that are not meant to be at the target any more when this attempt ends. */
  givenUp: Set<number>;
};

/** One pod that belongs to the group or matters to it. */
export type Row = Standing & { part: Part | undefined; facts: PodFacts | undefined };

/** Throws Invalid for a pod that is not the workload's. The view must be released. */
export function openPart(cluster: Cluster, { desired, pods }: GroupPart): Part {
  const { namespace, service, cell } = desired.placement;
  const name = workloadName(service, cell);
  const ordinals = pods.map((pod) => ordinalOf(name, pod));
  const odd = pods[ordinals.indexOf(undefined)];
  if (odd !== undefined) throw new CellwrightFailure("Invalid", `${odd} is not a pod of ${namespace}/${name}`);
  const { view, release } = cluster.views.acquire(namespace);
  return {
    desired,
    name,
    ordinals: new Set(ordinals as number[]),
    view,
    release,
    hands: newHands(),
    held: undefined,
    target: undefined,
    givenUp: new Set(),
  };
}

/** The group's pods and the other pods of its workload. */
export function partRows(part: Part, now: number): Row[] {
  const set = part.held?.set ?? part.view.set(part.name);
  if (set === undefined)
    return [...part.ordinals].map((ordinal) => toRow(part, ordinal, undefined, { kind: "missing" }, new Set()));
  const enrolled = part.held?.notes.enrolled ?? readNotes(set).enrolled;
  const hash = targetHash(set) ?? part.target;
  if (part.held !== undefined) part.target = hash;
  const target: Target = {
    // No pod has an empty hash: until the controller has seen the template, none is at the target.
    hash: hash ?? "",
    images: imagesOf(part.desired),
    readySeconds: part.desired.spec.release.readySeconds,
  };
  const byOrdinal = new Map<number, PodFacts>();
  for (const pod of part.view.pods(part.name)) {
    const facts = podFacts(part.name, pod, part.view.readySeenAt(pod.metadata.uid));
    if (facts !== undefined) byOrdinal.set(facts.ordinal, facts);
  }
  const expected = new Set([...Array(set.spec.replicas ?? 1).keys(), ...part.ordinals, ...byOrdinal.keys()]);
  return [...expected].map((ordinal) => {
    const facts = byOrdinal.get(ordinal);
    return toRow(part, ordinal, facts, judgePod(facts, target, now), enrolled);
  });
}

function toRow(
  part: Part,
  ordinal: number,
  facts: PodFacts | undefined,
  judgement: Judgement,
  enrolled: Set<number>,
): Row {
  return {
    part,
    name: `${part.name}-${ordinal}`,
    inGroup: part.ordinals.has(ordinal),
    held: true,
    enrolled: enrolled.has(ordinal),
    facts,
    judgement,
    available: facts !== undefined && facts.ready && judgement.kind !== "leaving",
  };
}

/** Pods of the same service in cells that this group does not touch: they only count as available or not. */
export function otherCells(parts: Part[]): Row[] {
  const rows: Row[] = [];
  const seen = new Set(parts.map((part) => part.name));
  for (const { view, desired } of parts) {
    for (const set of view.sets()) {
      const { name, labels = {} } = set.metadata;
      const isSibling =
        labels[LABELS.service] === desired.placement.service &&
        labels[LABELS.workspaceGroup] === desired.placement.workspaceGroup;
      if (!isSibling || seen.has(name)) continue;
      seen.add(name);
      const pods = view.pods(name).map((pod) => podFacts(name, pod));
      const expected = Math.max(set.spec.replicas ?? 1, pods.length);
      const available = pods.filter((pod) => pod !== undefined && pod.ready && !pod.leaving).length;
      for (let index = 0; index < expected; index++) {
        const isAvailable = index < available;
        const judgement: Judgement = { kind: "old", available: isAvailable };
        rows.push({
          part: undefined,
          name: `${name}/${index}`,
          inGroup: false,
          held: false,
          enrolled: false,
          facts: undefined,
          judgement,
          available: isAvailable,
        });
      }
    }
  }
  return rows;
}

/** As reported; `final`: at the end of a failed move. `stuck`: what is known to be wrong with it, and what to do. */
export function progressOf(row: Row, final: boolean, stuck?: string): PodProgress {
  const pod = { cell: row.part!.desired.placement.cell, name: row.name };
  if (row.judgement.kind === "updated") return { ...pod, state: "UPDATED" };
  if (!row.enrolled) return { ...pod, state: "NOT_UPDATED" };
  const { refusals, budgets } = row.part!.hands;
  const reason = stuck ?? refusals.get(row.name) ?? budgets.get(row.name)?.message ?? whyNot(row.facts, row.judgement);
  return { ...pod, state: final ? "FAILED" : "UPDATING", reason };
}

/** Steps forward of a pod of the group (or of one that the group waits for). */
export function milestonesOf({ name, inGroup, held, facts, judgement }: Row): string[] {
  if (!held || facts === undefined) return [];
  const there = judgement.kind === "updated" || judgement.kind === "settling";
  const moved = there || judgement.kind === "changing";
  return [
    ...(inGroup ? [`${name} born`] : []),
    ...(inGroup && facts.leaving ? [`${name} leaving`] : []),
    ...(inGroup && moved ? [`${name} changed`] : []),
    ...(there ? [`${name} ready`] : []),
    ...(judgement.kind === "updated" ? [`${name} updated`] : []),
  ];
}

/** The ordinals of those pods that are this part's. */
export function ordinalsIn(part: Part, pods: string[]): number[] {
  return pods
    .map((pod) => ordinalOf(part.name, pod))
    .filter((ordinal) => ordinal !== undefined && part.ordinals.has(ordinal)) as number[];
}

/** Uids of all pods of the workload that have been seen. */
export function uidsOf(part: Part): string[] {
  return part.view.pods(part.name).map((pod) => pod.metadata.uid);
}
