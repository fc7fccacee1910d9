/** What our identity must be allowed to do in a namespace before an order begins there. Pure. */

/** One verb on one resource. `group`: API group, empty for the core. */
export type Right = { verb: string; group: string; resource: string; subresource?: string };

/** A rule as the API server tells it of an identity (`SelfSubjectRulesReview`). */
export type ResourceRule = {
  verbs: string[];
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
};

/** `incomplete`: some authorizer cannot list its rules. */
export type RulesReview = { resourceRules?: ResourceRule[] | null; incomplete?: boolean };

/** The rules that count: none if not all authorizers list theirs, since one of these may refuse what the others allow. */
export function rulesOf(review: RulesReview | undefined): ResourceRule[] {
  return review?.incomplete === true ? [] : (review?.resourceRules ?? []);
}

/**
 * What releasing, repairing and rolling back use in a namespace. Namespaces, nodes and logs are not among them: the first
 * two are read at each look, whose answer tells, and an order does not need the last. Kept in step with
 * `local/kubernetes/cellwright-role.yaml`.
 */
export const RIGHTS: readonly Right[] = [
  ...["get", "list", "watch", "patch"].map((verb) => ({ verb, group: "", resource: "pods" })),
  ...["get", "list", "watch", "create", "patch", "delete"].map((verb) => ({
    verb,
    group: "apps",
    resource: "statefulsets",
  })),
  { verb: "create", group: "", resource: "pods", subresource: "eviction" },
  ...["get", "list", "create", "patch", "delete"].map((verb) => ({ verb, group: "", resource: "services" })),
  { verb: "list", group: "", resource: "events" },
];

/** For a person: `create pods/eviction`. */
export function describeRight({ verb, resource, subresource }: Right): string {
  return `${verb} ${nameOf({ resource, subresource })}`;
}

/** Whether one of the rules gives the right for objects of every name, by the wildcards of RBAC. */
export function isGranted(rules: readonly ResourceRule[], right: Right): boolean {
  const { verb, group, subresource } = right;
  const resources = [nameOf(right), "*", ...(subresource === undefined ? [] : [`*/${subresource}`])];
  return rules.some(
    (rule) =>
      (rule.resourceNames ?? []).length === 0 &&
      names(rule.verbs, verb, "*") &&
      names(rule.apiGroups, group, "*") &&
      names(rule.resources, ...resources),
  );
}

function names(list: readonly string[] = [], ...any: string[]): boolean {
  return any.some((one) => list.includes(one));
}

function nameOf({ resource, subresource }: { resource: string; subresource?: string | undefined }): string {
  return subresource === undefined ? resource : `${resource}/${subresource}`;
}
