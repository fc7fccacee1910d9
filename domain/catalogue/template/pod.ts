import Type, { type Static } from "typebox";
import { Container, ContainerBody, InitContainer, InitContainerBody } from "./container.ts";
import { closed, flag, labelValue, listOf, objectName, seconds, text } from "./fields.ts";
import { Affinity, Toleration, TopologySpreadConstraint, TopologySpreadConstraintBody } from "./scheduling.ts";
import { Volume } from "./volume.ts";

/** The pod template: what every pod of the service is made from. */

const Labels = Type.Record(Type.String(), labelValue, {
  maxProperties: 50,
  default: {},
  description: "an object of at most 50 labels",
});
/** Keys as for labels; checked by the rules, which also bound the sum of all. */
const Annotations = Type.Record(Type.String(), text, {
  maxProperties: 50,
  default: {},
  description: "an object of at most 50 annotations",
});

const defaulted = {
  labels: Labels,
  annotations: Annotations,
  volumes: listOf(Volume, 50, "volumes"),
  imagePullSecrets: listOf(Type.Object({ name: objectName("a Secret") }, closed), 20, "pull secrets"),
  /** The pods share their node's network, so that a node has at most one of them. */
  hostNetwork: flag,
  terminationGracePeriodSeconds: seconds(0, 86_400, 30),
  affinity: Affinity,
  tolerations: listOf(Toleration, 50, "tolerations"),
};
const optional = { serviceAccountName: Type.Optional(objectName("a ServiceAccount")) };
const containerCount = { minItems: 1, maxItems: 10, description: "a list of 1 to 10 containers" };

export const PodTemplate = Type.Object(
  {
    ...defaulted,
    ...optional,
    initContainers: listOf(InitContainer, 10, "init containers"),
    containers: Type.Array(Container, containerCount),
    topologySpreadConstraints: listOf(TopologySpreadConstraint, 20, "spread constraints"),
  },
  closed,
);
export const PodTemplateBody = Type.Object(
  {
    ...Type.Partial(Type.Object(defaulted)).properties,
    ...optional,
    initContainers: Type.Optional(listOf(InitContainerBody, 10, "init containers")),
    containers: Type.Array(ContainerBody, containerCount),
    topologySpreadConstraints: Type.Optional(listOf(TopologySpreadConstraintBody, 20, "spread constraints")),
  },
  closed,
);

export type PodTemplate = Static<typeof PodTemplate>;
export type PodTemplateBody = Static<typeof PodTemplateBody>;
