import Type, { type Static } from "typebox";
import { AppServiceName } from "../names.ts";
import { closed, count, labelKey, labelValue, bounded, podPartName } from "./fields.ts";

/** Which nodes the pods may run on, beside the node selector of their cell. Kubernetes' own names and meanings. */

const values = Type.Optional(bounded(labelValue, 100, "label values"));
const weight = count(1, 100);

const Labels = Type.Record(Type.String(), labelValue, {
  maxProperties: 50,
  description: "an object of at most 50 labels",
});

const nodeTerm = Type.Object(
  {
    matchExpressions: Type.Array(
      Type.Object(
        {
          key: labelKey,
          operator: Type.Enum(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]),
          values,
        },
        closed,
      ),
      { minItems: 1, maxItems: 50, description: "a list of 1 to 50 conditions" },
    ),
  },
  closed,
);
const nodeAffinity = Type.Object(
  {
    requiredDuringSchedulingIgnoredDuringExecution: Type.Optional(
      Type.Object(
        {
          nodeSelectorTerms: Type.Array(nodeTerm, {
            minItems: 1,
            maxItems: 20,
            description: "a list of 1 to 20 terms, of which one must hold",
          }),
        },
        closed,
      ),
    ),
    preferredDuringSchedulingIgnoredDuringExecution: Type.Optional(
      bounded(Type.Object({ weight, preference: nodeTerm }, closed), 20, "preferences"),
    ),
  },
  closed,
);

const podTerm = Type.Object(
  {
    /** Not empty: an empty selector would mean every pod. */
    labelSelector: Type.Object(
      {
        matchLabels: Type.Optional(Labels),
        matchExpressions: Type.Optional(
          bounded(
            Type.Object(
              { key: labelKey, operator: Type.Enum(["In", "NotIn", "Exists", "DoesNotExist"]), values },
              closed,
            ),
            50,
            "conditions",
          ),
        ),
      },
      closed,
    ),
    topologyKey: labelKey,
    /** Left out: the namespace of the app service. */
    namespaces: Type.Optional(bounded(podPartName("a namespace"), 20, "namespaces")),
  },
  closed,
);
const podAffinity = Type.Object(
  {
    requiredDuringSchedulingIgnoredDuringExecution: Type.Optional(bounded(podTerm, 20, "terms")),
    preferredDuringSchedulingIgnoredDuringExecution: Type.Optional(
      bounded(Type.Object({ weight, podAffinityTerm: podTerm }, closed), 20, "preferences"),
    ),
  },
  closed,
);

const HOSTNAME = "kubernetes.io/hostname";

/** Towards (or away from) another app service of the workspace group, in whichever namespace that is. */
const serviceTerm = Type.Object(
  {
    service: AppServiceName,
    topologyKey: Type.Optional(Type.String({ ...labelKey, default: HOSTNAME })),
    /** Given: preferred with this weight; left out: required. */
    weight: Type.Optional(weight),
  },
  closed,
);

export const Affinity = Type.Object(
  {
    nodeAffinity: Type.Optional(nodeAffinity),
    podAffinity: Type.Optional(podAffinity),
    podAntiAffinity: Type.Optional(podAffinity),
    serviceAffinity: Type.Optional(bounded(serviceTerm, 20, "app services")),
    serviceAntiAffinity: Type.Optional(bounded(serviceTerm, 20, "app services")),
  },
  { ...closed, default: {} },
);

/** Spreads the pods of one cell. */
export const TopologySpreadConstraint = Type.Object(
  {
    maxSkew: count(1, 1000, 1),
    topologyKey: labelKey,
    whenUnsatisfiable: Type.Enum(["DoNotSchedule", "ScheduleAnyway"], { default: "DoNotSchedule" }),
    minDomains: Type.Optional(count(1, 1000)),
  },
  closed,
);
export const TopologySpreadConstraintBody = Type.Object(
  {
    ...TopologySpreadConstraint.properties,
    maxSkew: Type.Optional(TopologySpreadConstraint.properties.maxSkew),
    whenUnsatisfiable: Type.Optional(TopologySpreadConstraint.properties.whenUnsatisfiable),
  },
  closed,
);

export const Toleration = Type.Object(
  {
    /** Left out, with the operator Exists: every taint. */
    key: Type.Optional(labelKey),
    operator: Type.Optional(Type.Enum(["Equal", "Exists"], { default: "Equal" })),
    value: Type.Optional(labelValue),
    /** Left out: every effect. */
    effect: Type.Optional(Type.Enum(["NoSchedule", "PreferNoSchedule", "NoExecute"])),
    /** How long a pod stays on a node that gets such a taint. Only with NoExecute; left out: for ever. */
    tolerationSeconds: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 86_400, description: "a whole number of seconds from 0 to 86400" }),
    ),
  },
  closed,
);

export type Affinity = Static<typeof Affinity>;
export type PodTerm = Static<typeof podTerm>;
export type PodAffinity = Static<typeof podAffinity>;
export type ServiceTerm = Static<typeof serviceTerm>;
export type NodeTerm = Static<typeof nodeTerm>;
export type TopologySpreadConstraint = Static<typeof TopologySpreadConstraint>;
export type TopologySpreadConstraintBody = Static<typeof TopologySpreadConstraintBody>;
export type Toleration = Static<typeof Toleration>;
