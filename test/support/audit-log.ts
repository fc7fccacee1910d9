/** The API server's audit log: the independent witness of who did what to which object, when, and with what answer. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

export type AuditRecord = {
  id: string;
  user: string;
  verb: string;
  resource: string;
  subresource: string | undefined;
  namespace: string;
  name: string;
  /** HTTP status of the answer. */
  status: number;
  /** When the request had come in and when it had been answered, ms since epoch. */
  receivedAt: number;
  answeredAt: number;
  /** What was sent; JSON patches as the array that they are. */
  body: unknown;
};

export type AuditFilter = { namespace?: string; user?: string; verb?: string; resource?: string; name?: string };

export type JsonPatch = { op: string; path: string; value?: unknown }[];
type Line = {
  auditID: string;
  stage: string;
  user: { username: string };
  verb: string;
  objectRef?: { resource?: string; subresource?: string; namespace?: string; name?: string };
  responseStatus?: { code?: number };
  requestObject?: unknown;
  requestReceivedTimestamp: string;
  stageTimestamp: string;
};

/** How far a log has been read, for one namespace, and what was found. */
type Reading = { inode: number; offset: number; records: AuditRecord[] };

/** The log is that of the whole run, and looked at again and again: each look reads what is new. By path and namespace. */
const readings = new Map<string, Reading>();

/** Finished requests in the order of their answers. A line that is just being written is left out. */
export function readAuditLog(path: string, filter: AuditFilter = {}): AuditRecord[] {
  return readOn(path, filter.namespace).filter((record) => matches(record, filter));
}

function readOn(path: string, namespace: string | undefined): readonly AuditRecord[] {
  // Most lines are about others, and need not be parsed.
  const mark = namespace === undefined ? "" : `"${namespace}"`;
  const key = `${path}\n${mark}`;
  const file = openSync(path, "r");
  try {
    const { ino: inode, size } = fstatSync(file);
    let reading = readings.get(key);
    // Another log, or a log begun anew.
    if (reading?.inode !== inode || size < reading.offset) reading = { inode, offset: 0, records: [] };
    readings.set(key, reading);
    const bytes = Buffer.alloc(size - reading.offset);
    const length = readSync(file, bytes, 0, bytes.length, reading.offset);
    const end = bytes.lastIndexOf("\n", length) + 1;
    for (const line of bytes.toString("utf8", 0, end).split("\n")) {
      if (line.includes(mark)) reading.records.push(...parse(line));
    }
    reading.offset += end;
    return reading.records;
  } finally {
    closeSync(file);
  }
}

/** A pod's image as one accepted or refused write would have it. */
export type ImagePatch = { pod: string; image: string; status: number; at: number; epoch: number };

/** JSON patches that set an image on a pod, by everybody; the ones that were refused too. */
export function imagePatches(path: string, namespace: string): ImagePatch[] {
  return readAuditLog(path, { namespace, verb: "patch", resource: "pods" }).flatMap((record) => {
    if (!Array.isArray(record.body)) return [];
    const patch = record.body as JsonPatch;
    const image = patch.find(({ op, path: at }) => op === "replace" && at.startsWith("/spec/containers/"))?.value;
    const epoch = patch.find(({ op, path: at }) => op === "add" && at.endsWith("~1epoch"))?.value;
    if (typeof image !== "string") return [];
    return [{ pod: record.name, image, status: record.status, at: record.answeredAt, epoch: Number(epoch) }];
  });
}

/** One request to evict a pod, also when it was refused. `uid`: of the pod that was meant. */
export type EvictionRequest = { pod: string; uid: string; status: number; receivedAt: number; at: number };

export function evictions(path: string, namespace: string): EvictionRequest[] {
  return readAuditLog(path, { namespace, verb: "create", resource: "pods" })
    .filter((record) => record.subresource === "eviction")
    .map(({ name, status, receivedAt, answeredAt, body }) => {
      const { deleteOptions } = body as { deleteOptions?: { preconditions?: { uid?: string } } };
      return { pod: name, uid: deleteOptions?.preconditions?.uid ?? "", status, receivedAt, at: answeredAt };
    });
}

/** A time in which a set's pods that died came back at its template's revision; `to` is Infinity while it lasts. */
export type Window = { from: number; to: number };

/** Of one StatefulSet, by the accepted writes of its update strategy. Ms since epoch. */
export function windows(path: string, namespace: string, set: string): Window[] {
  const found: Window[] = [];
  for (const record of readAuditLog(path, { namespace, resource: "statefulsets", name: set })) {
    const type = strategyIn(record.body)?.type;
    if (record.status >= 300 || record.subresource !== undefined || type === undefined) continue;
    const last = found.at(-1);
    const isOpen = last !== undefined && last.to === Infinity;
    if (type === "OnDelete" && !isOpen) found.push({ from: record.receivedAt, to: Infinity });
    if (type !== "OnDelete" && isOpen) last.to = record.answeredAt;
  }
  return found;
}

type Strategy = { type?: string };

/** What a write says of the update strategy: a JSON patch in one of its operations, anything else in its spec. */
function strategyIn(body: unknown): Strategy | undefined {
  if (!Array.isArray(body)) return (body as { spec?: { updateStrategy?: Strategy } } | undefined)?.spec?.updateStrategy;
  return (body as JsonPatch).find(({ op, path }) => op !== "test" && path === "/spec/updateStrategy")
    ?.value as Strategy;
}

function parse(line: string): AuditRecord[] {
  if (!line.endsWith("}")) return [];
  let read: Line;
  try {
    read = JSON.parse(line) as Line;
  } catch {
    return [];
  }
  if (read.stage !== "ResponseComplete" && read.stage !== "Panic") return [];
  return [
    {
      id: read.auditID,
      user: read.user.username,
      verb: read.verb,
      resource: read.objectRef?.resource ?? "",
      subresource: read.objectRef?.subresource,
      namespace: read.objectRef?.namespace ?? "",
      name: read.objectRef?.name ?? "",
      status: read.responseStatus?.code ?? 0,
      receivedAt: Date.parse(read.requestReceivedTimestamp),
      answeredAt: Date.parse(read.stageTimestamp),
      body: read.requestObject,
    },
  ];
}

function matches(record: AuditRecord, filter: AuditFilter): boolean {
  return (Object.entries(filter) as [keyof AuditFilter, string][]).every(([key, value]) => record[key] === value);
}
