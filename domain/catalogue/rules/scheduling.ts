import type { Fault } from "../faults.ts";
import type { PodTemplate } from "../template/pod.ts";
import type { NodeTerm, PodAffinity, PodTerm, Toleration } from "../template/scheduling.ts";
import { located, repeated } from "./common.ts";
import { keyFaults, labelSyntaxFaults, valueFaults } from "./labels.ts";

/** Rules for affinities, spread constraints and tolerations. */

const REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution";

export function schedulingFaults({ affinity, tolerations, topologySpreadConstraints }: PodTemplate): Fault[] {
  const at = "/template/affinity";
  const node = affinity.nodeAffinity ?? {};
  const spread = located(topologySpreadConstraints, "/template/topologySpreadConstraints");
  return [
    ...located(node[REQUIRED]?.nodeSelectorTerms ?? [], `${at}/nodeAffinity/${REQUIRED}/nodeSelectorTerms`).flatMap(
      ({ item, field }) => nodeTermFaults(item, field),
    ),
    ...located(node[PREFERRED] ?? [], `${at}/nodeAffinity/${PREFERRED}`).flatMap(({ item, field }) =>
      nodeTermFaults(item.preference, `${field}/preference`),
    ),
    ...podAffinityFaults(affinity.podAffinity, `${at}/podAffinity`),
    ...podAffinityFaults(affinity.podAntiAffinity, `${at}/podAntiAffinity`),
    ...(["serviceAffinity", "serviceAntiAffinity"] as const).flatMap((kind) =>
      located(affinity[kind] ?? [], `${at}/${kind}`).flatMap(({ item, field }) =>
        item.topologyKey === undefined ? [] : keyFaults(item.topologyKey, `${field}/topologyKey`),
      ),
    ),
    ...spread.flatMap(({ item, field }) => [
      ...keyFaults(item.topologyKey, `${field}/topologyKey`),
      ...(item.minDomains !== undefined && item.whenUnsatisfiable !== "DoNotSchedule"
        ? [{ field: `${field}/minDomains`, message: "is only possible with DoNotSchedule; leave it out" }]
        : []),
    ]),
    ...repeated(
      spread.map(({ item, field }) => ({ field, key: `${item.topologyKey}\n${item.whenUnsatisfiable}` })),
      (first) => `has the topologyKey and whenUnsatisfiable of ${first}; keep one`,
    ),
    ...located(tolerations, "/template/tolerations").flatMap(({ item, field }) => tolerationFaults(item, field)),
  ];
}

function nodeTermFaults({ matchExpressions }: NodeTerm, field: string): Fault[] {
  return located(matchExpressions, `${field}/matchExpressions`).flatMap((one) => expressionFaults(one.item, one.field));
}

function podAffinityFaults(affinity: PodAffinity | undefined, field: string): Fault[] {
  return [
    ...located(affinity?.[REQUIRED] ?? [], `${field}/${REQUIRED}`).flatMap((one) => podTermFaults(one.item, one.field)),
    ...located(affinity?.[PREFERRED] ?? [], `${field}/${PREFERRED}`).flatMap((one) =>
      podTermFaults(one.item.podAffinityTerm, `${one.field}/podAffinityTerm`),
    ),
  ];
}

function podTermFaults({ labelSelector, topologyKey }: PodTerm, field: string): Fault[] {
  const { matchLabels = {}, matchExpressions = [] } = labelSelector;
  const isEmpty = Object.keys(matchLabels).length === 0 && matchExpressions.length === 0;
  return [
    ...(isEmpty
      ? [{ field: `${field}/labelSelector`, message: "selects every pod; give matchLabels or matchExpressions" }]
      : []),
    ...labelSyntaxFaults(matchLabels, `${field}/labelSelector/matchLabels`),
    ...located(matchExpressions, `${field}/labelSelector/matchExpressions`).flatMap((one) =>
      expressionFaults(one.item, one.field),
    ),
    ...keyFaults(topologyKey, `${field}/topologyKey`),
  ];
}

type Expression = { readonly key: string; readonly operator: string; readonly values?: readonly string[] };

function expressionFaults({ key, operator, values = [] }: Expression, field: string): Fault[] {
  const at = `${field}/values`;
  const faults = [...keyFaults(key, `${field}/key`)];
  switch (operator) {
    case "Exists":
    case "DoesNotExist":
      if (values.length > 0) faults.push({ field: at, message: `must be left out with ${operator}` });
      break;
    case "Gt":
    case "Lt":
      if (values.length !== 1 || !/^(0|[1-9][0-9]{0,17})$/.test(values[0] ?? "")) {
        faults.push({ field: at, message: `must be one whole number from 0 on with ${operator}, as a text` });
      }
      break;
    default:
      if (values.length === 0) faults.push({ field: at, message: `must have at least one value with ${operator}` });
      faults.push(...located(values, at).flatMap((one) => valueFaults(one.item, one.field)));
  }
  return faults;
}

function tolerationFaults({ key, operator = "Equal", value, effect, tolerationSeconds }: Toleration, field: string) {
  const faults: Fault[] = key === undefined ? [] : keyFaults(key, `${field}/key`);
  if (key === undefined && operator !== "Exists") {
    faults.push({ field: `${field}/operator`, message: "must be Exists when there is no key; or give a key" });
  }
  if (operator === "Exists" && value !== undefined && value !== "") {
    faults.push({ field: `${field}/value`, message: "must be left out with Exists" });
  }
  if (operator === "Equal") faults.push(...valueFaults(value ?? "", `${field}/value`));
  if (tolerationSeconds !== undefined && effect !== "NoExecute") {
    faults.push({ field: `${field}/tolerationSeconds`, message: "is only possible with the effect NoExecute" });
  }
  return faults;
}
