import Type from "typebox";

/**
 * Names of the catalogue's resources. Every description completes the sentence "must be …": it is both the
 * documentation in the OpenAPI document and the answer to somebody who sent something else.
 */

/** Shape shared by everything that ends up in a Kubernetes name. */
export const DNS_LABEL_PATTERN = "^[a-z]([a-z0-9-]*[a-z0-9])?$";

/** Longest name of a workload, `<service>-<cell>`: Kubernetes appends an ordinal and a revision hash to it. */
export const WORKLOAD_NAME_LIMIT = 52;

/** Name of the workload that runs an app service in one cell. */
export function workloadName(service: string, cell: string): string {
  return `${service}-${cell}`;
}

/** Name of a Kubernetes Service of an app service: of the governing one without `suffix`. */
export function serviceName(service: string, suffix?: string): string {
  return suffix === undefined ? service : `${service}-${suffix}`;
}

function dnsLabel(what: string, minLength: number, maxLength: number) {
  return Type.String({
    pattern: DNS_LABEL_PATTERN,
    minLength,
    maxLength,
    description:
      `${what} of ${minLength} to ${maxLength} characters: lowercase letters, digits and "-", ` +
      "beginning with a letter and ending with a letter or digit",
  });
}

export const ClusterName = dnsLabel("a cluster name", 1, 50);
export const WorkspaceGroupName = dnsLabel("a workspace group name", 2, 64);
export const WorkspaceName = dnsLabel("a workspace name", 2, 64);
/** Also the key of `cells` in a revision. */
export const CELL_NAME_RULE =
  'a cell name of 1 to 50 characters: lowercase letters, digits and "-", beginning with a letter and ending with a letter or digit';
export const CellName = dnsLabel("a cell name", 1, 50);
export const AppServiceName = dnsLabel("an app service name", 1, 50);
export const ContainerName = dnsLabel("a container name", 1, 63);
/** Also the key of per-cell overrides in a revision. */
export const CONTAINER_NAME_RULE =
  'a container name of 1 to 63 characters: lowercase letters, digits and "-", beginning with a letter and ending with a letter or digit';
export const RegionName = dnsLabel("a region name", 1, 63);
export const AvailabilityZoneName = dnsLabel("an availability zone name", 1, 63);

export const NamespaceName = Type.String({
  pattern: "^(?!kube-)[a-z]([a-z0-9-]*[a-z0-9])?$",
  minLength: 1,
  maxLength: 63,
  description:
    'a Kubernetes namespace of 1 to 63 characters: lowercase letters, digits and "-", beginning with a letter and ' +
    'ending with a letter or digit; namespaces of Kubernetes itself ("kube-…") are protected',
});

export const ApplicationName = Type.String({
  pattern: "^[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?$",
  minLength: 1,
  maxLength: 60,
  description:
    'an application name of 1 to 60 characters: letters, digits, "-" and "_", beginning with a letter and ending ' +
    "with a letter or digit",
});

/** A logical unit: an RZone, sharded by user, or a GZone, which is global. */
export const ZoneName = Type.String({
  pattern: "^[RG]Z[A-Za-z0-9]+$",
  minLength: 3,
  maxLength: 8,
  description: 'a zone name of 3 to 8 letters and digits beginning with "RZ" or "GZ"',
});

export const DisplayName = Type.String({
  pattern: "^\\S(.*\\S)?$",
  minLength: 1,
  maxLength: 64,
  description: "a text of 1 to 64 characters on one line, without spaces at its ends",
});

export const Description = Type.String({
  maxLength: 500,
  description: "a text of at most 500 characters",
});
