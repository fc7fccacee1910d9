/** Affinities, spread and tolerations of the pod template. */
import type { NodeTerm, PodAffinity, PodTerm, ServiceTerm } from "../catalogue/template/scheduling.ts";
import { cellIdentity, serviceIdentity, unlessEmpty } from "./manifest.ts";
import type { JsonObject, Rendering } from "./manifest.ts";

const HOSTNAME = "kubernetes.io/hostname";
const REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution";

type Terms = { required: JsonObject[]; preferred: JsonObject[] };

export function renderScheduling(rendering: Rendering): JsonObject {
  const { placement, spec } = rendering;
  const { tolerations, topologySpreadConstraints } = spec.template;
  return {
    ...unlessEmpty("affinity", renderAffinity(rendering)),
    ...unlessEmpty(
      "tolerations",
      tolerations.map(({ operator = "Equal", value, ...rest }) => ({
        ...rest,
        operator,
        ...(value === undefined || value === "" ? {} : { value }),
      })),
    ),
    ...unlessEmpty(
      "topologySpreadConstraints",
      topologySpreadConstraints.map((constraint) => ({
        ...constraint,
        labelSelector: { matchLabels: cellIdentity(placement) },
      })),
    ),
  };
}

function renderAffinity({ placement, spec }: Rendering): JsonObject {
  const { affinity, hostNetwork } = spec.template;
  const group = placement.workspaceGroup;
  const apart = merge(podTerms(affinity.podAntiAffinity), serviceTerms(group, affinity.serviceAntiAffinity));
  // Two pods in one node's network would fight for its ports; also where no port is declared.
  const alone: JsonObject = {
    labelSelector: { matchLabels: serviceIdentity(group, placement.service) },
    topologyKey: HOSTNAME,
  };
  const together = merge(podTerms(affinity.podAffinity), serviceTerms(group, affinity.serviceAffinity));
  const { nodeAffinity = {} } = affinity;
  const required = nodeAffinity[REQUIRED];
  return {
    ...unlessEmpty("nodeAffinity", {
      ...(required === undefined
        ? {}
        : { [REQUIRED]: { nodeSelectorTerms: required.nodeSelectorTerms.map(renderNodeTerm) } }),
      ...unlessEmpty(
        PREFERRED,
        nodeAffinity[PREFERRED]?.map(({ weight, preference }) => ({
          weight,
          preference: renderNodeTerm(preference),
        })),
      ),
    }),
    ...unlessEmpty("podAffinity", renderTerms(together)),
    ...unlessEmpty(
      "podAntiAffinity",
      renderTerms(hostNetwork ? { ...apart, required: [...apart.required, alone] } : apart),
    ),
  };
}

function renderNodeTerm({ matchExpressions }: NodeTerm): JsonObject {
  return { matchExpressions: matchExpressions.map(renderExpression) };
}

function renderExpression({ key, operator, values }: { key: string; operator: string; values?: string[] }): JsonObject {
  return { key, operator, ...unlessEmpty("values", values) };
}

function podTerms(affinity: PodAffinity | undefined): Terms {
  return {
    required: (affinity?.[REQUIRED] ?? []).map(renderPodTerm),
    preferred: (affinity?.[PREFERRED] ?? []).map(({ weight, podAffinityTerm }) => ({
      weight,
      podAffinityTerm: renderPodTerm(podAffinityTerm),
    })),
  };
}

function renderPodTerm({ labelSelector, topologyKey, namespaces }: PodTerm): JsonObject {
  const { matchLabels, matchExpressions } = labelSelector;
  return {
    labelSelector: {
      ...unlessEmpty("matchLabels", matchLabels),
      ...unlessEmpty("matchExpressions", matchExpressions?.map(renderExpression)),
    },
    topologyKey,
    ...unlessEmpty("namespaces", namespaces),
  };
}

function serviceTerms(group: string, terms: ServiceTerm[] = []): Terms {
  const render = ({ service, topologyKey = HOSTNAME }: ServiceTerm): JsonObject => ({
    labelSelector: { matchLabels: serviceIdentity(group, service) },
    // Empty means every namespace: an app service is found by its labels wherever it lives.
    namespaceSelector: {},
    topologyKey,
  });
  return {
    required: terms.filter(({ weight }) => weight === undefined).map(render),
    preferred: terms.flatMap((term) =>
      term.weight === undefined ? [] : [{ weight: term.weight, podAffinityTerm: render(term) }],
    ),
  };
}

function merge(a: Terms, b: Terms): Terms {
  return { required: [...a.required, ...b.required], preferred: [...a.preferred, ...b.preferred] };
}

function renderTerms({ required, preferred }: Terms): JsonObject {
  return { ...unlessEmpty(REQUIRED, required), ...unlessEmpty(PREFERRED, preferred) };
}
