/**
 * Judges a release by what the API server wrote down: its audit log says who changed which pod when, and when each came
 * back. From Cellwright comes only what was promised (the preview, read before the start) and what people asked for (the
 * confirmations among the order's events).
 */
import type { Pool } from "pg";
import type { ReleaseOrder } from "../../api/order-view.ts";
import type { RecordedEvent } from "../../domain/pipeline/model.ts";
import { type JsonPatch, readAuditLog, type AuditRecord } from "./audit-log.ts";

/** One accepted change of a pod's image. Times in ms since 1970. */
export type PodChange = {
  pod: string;
  image: string;
  user: string;
  /** The write came in, and was certainly stored. */
  receivedAt: number;
  storedAt: number;
  /** The kubelet's write that says it is ready with another container than before came in; absent when it never came. */
  upAt?: number;
};

/** Everything that is not as it should be, in words; all empty when all is well. */
export type Verdict = {
  changedOtherThanOnce: string[];
  notAtTarget: string[];
  beforeConfirmation: string[];
  tooManyDown: string[];
  dependenciesBroken: string[];
  notAllowed: string[];
};

export const innocent: Verdict = {
  changedOtherThanOnce: [],
  notAtTarget: [],
  beforeConfirmation: [],
  tooManyDown: [],
  dependenciesBroken: [],
  notAllowed: [],
};

export type Case = {
  auditLog: string;
  namespace: string;
  /** As previewed: groups and their pods. */
  preview: ReleaseOrder;
  /** Service → image that its pods shall have in the end. */
  targets: Readonly<Record<string, string>>;
  /** Of the product's database, where the order's events are. */
  pool: Pool;
  /** Nothing before counts; ms since 1970. */
  since: number;
};

type Body = {
  spec?: { containers?: { image: string }[] };
  status?: {
    conditions?: { type: string; status: string }[];
    containerStatuses?: { image?: string; containerID?: string; ready?: boolean }[];
  };
};

/** Accepted changes of pods' images in a namespace, by anybody, in the order in which they were stored. */
export function podChanges(auditLog: string, namespace: string, since = 0): PodChange[] {
  return changesIn(readAuditLog(auditLog, { namespace, resource: "pods" }), since);
}

function changesIn(records: readonly AuditRecord[], since: number): PodChange[] {
  const changes: PodChange[] = [];
  /** Pod → ids of its containers so far. */
  const known = new Map<string, Set<string>>();
  /** Pod → its last change, while it has not come back, and ids of the containers it had before. */
  const open = new Map<string, { change: PodChange; before: Set<string> }>();
  for (const record of records) {
    if (record.status >= 300) continue;
    const image = patchedImage(record);
    if (image !== undefined && record.receivedAt >= since) {
      const { name: pod, user, receivedAt, answeredAt: storedAt } = record;
      const change = { pod, image, user, receivedAt, storedAt };
      changes.push(change);
      open.set(pod, { change, before: known.get(pod) ?? new Set() });
      continue;
    }
    if (record.subresource !== "status") continue;
    const { status } = (record.body ?? {}) as Body;
    const ids = (status?.containerStatuses ?? []).flatMap((one) => (one.containerID ? [one.containerID] : []));
    known.set(record.name, new Set([...(known.get(record.name) ?? []), ...ids]));
    const waited = open.get(record.name);
    const isReady = status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") === true;
    if (waited === undefined || !isReady || ids.every((id) => waited.before.has(id))) continue;
    const { change } = waited;
    if (status?.containerStatuses?.some((one) => shortImage(one.image) === change.image) !== true) continue;
    change.upAt = record.receivedAt;
    open.delete(record.name);
  }
  return changes;
}

/** A container runtime reports the whole reference of an image, where the spec may leave out the default registry. */
function shortImage(image: string | undefined): string | undefined {
  return image?.replace(/^docker\.io\//, "");
}

/** The image that an accepted write of a pod sets; undefined when it sets none. */
function patchedImage(record: AuditRecord): string | undefined {
  if (record.subresource !== undefined || (record.verb !== "patch" && record.verb !== "update")) return undefined;
  if (Array.isArray(record.body)) {
    const set = (record.body as JsonPatch).find(
      ({ op, path }) => (op === "replace" || op === "add") && /^\/spec\/containers\/\d+\/image$/.test(path),
    );
    return typeof set?.value === "string" ? set.value : undefined;
  }
  return ((record.body ?? {}) as Body).spec?.containers?.find((one) => one.image)?.image;
}

/** The image with which a pod was last made or to which it was last changed. */
export function lastImages(auditLog: string, namespace: string): Map<string, string> {
  const images = new Map<string, string>();
  for (const record of readAuditLog(auditLog, { namespace, resource: "pods" })) {
    if (record.status >= 300) continue;
    const born =
      record.verb === "create" && record.subresource === undefined
        ? (record.body as Body & { metadata?: { name?: string } })
        : undefined;
    const image = born?.spec?.containers?.[0]?.image ?? patchedImage(record);
    const name = record.name || (born?.metadata?.name ?? "");
    if (image !== undefined) images.set(name, image);
  }
  return images;
}

/** Judges a release that has come to its end and was image-only. */
export async function judge(input: Case): Promise<Verdict & { changes: PodChange[] }> {
  const { auditLog, namespace, preview, since } = input;
  const changes = podChanges(auditLog, namespace, since);
  const events = await readOrderEvents(input.pool, preview.id);
  return {
    changedOtherThanOnce: changedOtherThanOnce(preview, changes),
    notAtTarget: notAtTarget(input, changes),
    beforeConfirmation: beforeConfirmation(preview, changes, events),
    tooManyDown: tooManyDown(preview, changes),
    dependenciesBroken: dependenciesBroken(preview, changes, events),
    notAllowed: notAllowed(auditLog, namespace, since),
    changes,
  };
}

function plannedPods(preview: ReleaseOrder): { service: string; group: number; name: string }[] {
  return preview.apps.flatMap(({ service, groups }) =>
    groups.flatMap(({ pods }, group) => pods.map(({ name }) => ({ service, group, name }))),
  );
}

function changedOtherThanOnce(preview: ReleaseOrder, changes: readonly PodChange[]): string[] {
  const planned = plannedPods(preview);
  const times = (name: string): number => changes.filter((change) => change.pod === name).length;
  return [
    ...planned
      .filter(({ name }) => times(name) !== 1)
      .map(({ name }) => `${name} was changed ${times(name)} times, not once`),
    ...changes
      .filter(({ pod }) => !planned.some(({ name }) => name === pod))
      .map(({ pod }) => `${pod} was changed and is in no group`),
  ];
}

function notAtTarget({ preview, targets }: Case, changes: readonly PodChange[]): string[] {
  return plannedPods(preview).flatMap(({ service, name }) => {
    const last = changes.findLast((change) => change.pod === name);
    const target = targets[service];
    if (last?.image !== target) return [`${name} has ${last?.image ?? "never been changed"}, not ${target}`];
    return last?.upAt === undefined ? [`${name} has not come back with ${target}`] : [];
  });
}

/** One event of an order as stored; `stream` is the workflow that it is of. */
type StoredEvent = { stream: string; event: RecordedEvent };

/** All events of an order, in the order in which they were stored. */
async function readOrderEvents(pool: Pool, order: string): Promise<StoredEvent[]> {
  const { rows } = await pool.query<StoredEvent>(
    "select stream, event from order_events where order_id = $1 order by position",
    [order],
  );
  return rows;
}

/** When a person confirmed a task; undefined when nobody has. */
function confirmedAt(events: readonly StoredEvent[], task: string): number | undefined {
  return events
    .map(({ event }) => event)
    .find((one) => one.type === "acted" && one.verb === "confirm" && one.task === task && one.outcome === "accepted")
    ?.at;
}

/** A group's pods change only after every confirmation that the plan puts before them. */
function beforeConfirmation(
  preview: ReleaseOrder,
  changes: readonly PodChange[],
  events: readonly StoredEvent[],
): string[] {
  return preview.apps.flatMap(({ service, groups }) =>
    groups.flatMap(({ id, pods }, index) => {
      const earlier = new Set(groups.slice(0, index).map((group) => group.id));
      const confirms = preview.tasks.filter(
        (task) => task.service === service && task.kind === "confirm" && earlier.has(task.group ?? ""),
      );
      return changes
        .filter(({ pod }) => pods.some(({ name }) => name === pod))
        .flatMap(({ pod, storedAt }) =>
          confirms.flatMap((confirm) => {
            const at = confirmedAt(events, confirm.id);
            if (at !== undefined && at <= storedAt) return [];
            return [`${pod} of group ${id} was changed before ${confirm.id} was confirmed`];
          }),
        );
    }),
  );
}

/**
 * At no time are more pods of a service down than the group that moves has. What counts is what is certain: a pod is
 * down from when its change was stored until its next good news came in.
 */
function tooManyDown(preview: ReleaseOrder, changes: readonly PodChange[]): string[] {
  const planned = new Map(plannedPods(preview).map((pod) => [pod.name, pod]));
  return changes.flatMap((change) => {
    const moving = planned.get(change.pod);
    if (moving === undefined) return [];
    const down = changes.filter(
      (other) =>
        planned.get(other.pod)?.service === moving.service &&
        other.storedAt <= change.storedAt &&
        (other.upAt ?? Infinity) > change.storedAt,
    );
    const size = preview.apps.find((app) => app.service === moving.service)?.groups[moving.group]?.pods.length ?? 0;
    const strangers = down.filter((other) => planned.get(other.pod)?.group !== moving.group);
    return [
      ...(down.length > size ? [`${down.length} pods down when ${change.pod} of a group of ${size} was changed`] : []),
      ...strangers.map((other) => `${other.pod} of another group was still down when ${change.pod} was changed`),
    ];
  });
}

/** Nothing of a service changes before all that it needs is up, and that app has succeeded. */
function dependenciesBroken(
  preview: ReleaseOrder,
  changes: readonly PodChange[],
  events: readonly StoredEvent[],
): string[] {
  const planned = plannedPods(preview);
  const of = (service: string): PodChange[] =>
    changes.filter(({ pod }) => planned.some((one) => one.name === pod && one.service === service));
  return preview.dependencies.flatMap(({ service, needs }) => {
    const first = Math.min(...of(service).map((change) => change.receivedAt));
    if (first === Infinity) return [];
    return needs.flatMap((need) => {
      const up = Math.max(...of(need).map((change) => change.upAt ?? Infinity));
      const done = events.find(
        ({ stream, event }) =>
          stream === `${preview.workflowId}/${need}` && event.type === "pipelineChanged" && event.state === "SUCCEEDED",
      );
      return [
        ...(up <= first ? [] : [`${service} was changed before all pods of ${need} were back`]),
        ...(done !== undefined && done.event.at <= first ? [] : [`${service} was changed before ${need} succeeded`]),
      ];
    });
  });
}

/** What Cellwright's identity may write, and has to: nothing else, and no other hand on pods' images. */
function notAllowed(auditLog: string, namespace: string, since: number): string[] {
  const may = new Set([
    "patch pods",
    "create pods/eviction",
    ...["statefulsets", "services"].flatMap((what) => [`create ${what}`, `patch ${what}`, `delete ${what}`]),
  ]);
  return readAuditLog(auditLog, { namespace })
    .filter((record) => record.receivedAt >= since)
    .flatMap((record) => {
      const { user, verb, resource, subresource, name, status } = record;
      const what = `${verb} ${resource}${subresource === undefined ? "" : `/${subresource}`}`;
      if (user !== "cellwright") return patchedImage(record) === undefined ? [] : [`${user} set the image of ${name}`];
      // Refusals of a compare-and-swap are the ordinary course of things; those for want of rights are not.
      if (!may.has(what) || status === 403) return [`cellwright did ${what} of ${name} (${status})`];
      return [];
    });
}
