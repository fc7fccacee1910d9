import { pointer, type Fault } from "../faults.ts";

/** Rules for labels, annotations and everything that names them. */

const RESERVED_LABELS: ReadonlySet<string> = new Set(["serving", "controller-revision-hash"]);
const RESERVED_LABEL_PREFIXES: readonly string[] = [
  "app.kubernetes.io/",
  "apps.kubernetes.io/",
  "statefulset.kubernetes.io/",
  "cellwright.io/",
];
/** Ours, and those by which Kubernetes itself marks or configures pods. */
const RESERVED_ANNOTATION_PREFIXES: readonly string[] = [
  "cellwright.io/",
  "kubernetes.io/config.",
  "kubernetes.io/limit-ranger",
  "kubernetes.io/enforce-mountable-secrets",
  "container.apparmor.security.beta.kubernetes.io/",
  "container.seccomp.security.alpha.kubernetes.io/",
  "seccomp.security.alpha.kubernetes.io/",
];
/** Kubernetes keeps 256 KiB of annotations in one object; the rest is for controllers and nodes. */
const ANNOTATION_BYTES = 128 * 1024;

const PREFIX = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
const NAME = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;

/** Whether Kubernetes takes this as the key of a label or annotation. */
export function isLabelKey(key: string): boolean {
  const slash = key.indexOf("/");
  const prefix = slash === -1 ? undefined : key.slice(0, slash);
  return (prefix === undefined || (prefix.length <= 253 && PREFIX.test(prefix))) && NAME.test(key.slice(slash + 1));
}

export function keyFaults(key: string, field: string): Fault[] {
  if (isLabelKey(key)) return [];
  return [
    {
      field,
      message:
        'has a malformed key: use [<dns-name>/]<name>, the name of at most 63 letters, digits, "-", "_" and ".", ' +
        "beginning and ending with a letter or digit",
    },
  ];
}

export function valueFaults(value: string, field: string): Fault[] {
  if (value === "" || NAME.test(value)) return [];
  return [
    {
      field,
      message:
        'has a malformed value: use at most 63 letters, digits, "-", "_" and ".", ' +
        "beginning and ending with a letter or digit, or the empty text",
    },
  ];
}

/** Syntax of Kubernetes labels; used for node selectors as well. */
export function labelSyntaxFaults(labels: Readonly<Record<string, string>>, field: string): Fault[] {
  return Object.entries(labels).flatMap(([key, value]) => [
    ...keyFaults(key, pointer(field, key)),
    ...valueFaults(value, pointer(field, key)),
  ]);
}

export function labelFaults(labels: Readonly<Record<string, string>>): Fault[] {
  const field = "/template/labels";
  const reserved = Object.keys(labels).filter(
    (key) => RESERVED_LABELS.has(key) || RESERVED_LABEL_PREFIXES.some((prefix) => key.startsWith(prefix)),
  );
  return [
    ...labelSyntaxFaults(labels, field),
    ...reserved.map((key) => ({
      field: pointer(field, key),
      message: "is a label that the platform sets itself; choose another key",
    })),
  ];
}

export function annotationFaults(annotations: Readonly<Record<string, string>>): Fault[] {
  const field = "/template/annotations";
  const keys = Object.keys(annotations);
  const reserved = keys.filter((key) => RESERVED_ANNOTATION_PREFIXES.some((prefix) => key.startsWith(prefix)));
  const bytes = Object.entries(annotations).reduce((sum, [key, value]) => sum + utf8Length(key) + utf8Length(value), 0);
  return [
    ...keys.flatMap((key) => keyFaults(key, pointer(field, key))),
    ...reserved.map((key) => ({
      field: pointer(field, key),
      message: "is an annotation that the platform or Kubernetes sets itself; choose another key",
    })),
    ...(bytes > ANNOTATION_BYTES
      ? [{ field, message: `are ${bytes} bytes together, at most ${ANNOTATION_BYTES} fit; shorten them` }]
      : []),
  ];
}

const encoder = new TextEncoder();

export function utf8Length(text: string): number {
  return encoder.encode(text).length;
}
