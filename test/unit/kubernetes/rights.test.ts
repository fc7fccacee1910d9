import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import {
  describeRight,
  isGranted,
  RIGHTS,
  rulesOf,
  type ResourceRule,
  type Right,
  type RulesReview,
} from "../../../activities/kubernetes/statefulset/rights.ts";

type Role = { kind: string; rules: ResourceRule[] };

const file = new URL("../../../local/kubernetes/cellwright-role.yaml", import.meta.url);
const documents = parseAllDocuments(readFileSync(file, "utf8")).map((document) => document.toJS() as Role);
const rules = documents.find(({ kind }) => kind === "ClusterRole")?.rules ?? [];

describe("the role that is shipped", () => {
  test("grants all that is asked for before an order", () => {
    expect(RIGHTS.filter((right) => !isGranted(rules, right))).toEqual([]);
  });

  test("grants nothing else than that, and what reads are refused by themselves", () => {
    const granted = rules.flatMap(({ verbs, resources = [] }) =>
      resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}`)),
    );
    const beside = ["get namespaces", "list nodes", "get pods/log"];
    expect(granted.toSorted()).toEqual([...RIGHTS.map(describeRight), ...beside].toSorted());
  });
});

test.each<[string, RulesReview | undefined, number]>([
  ["no answer", undefined, 0],
  ["no rule", { resourceRules: null }, 0],
  ["all that there are", { resourceRules: rules, incomplete: false }, rules.length],
  ["those of some authorizers only", { resourceRules: rules, incomplete: true }, 0],
])("rules of a review count only if they are all: %s", (_title, review, count) => {
  expect(rulesOf(review)).toHaveLength(count);
});

describe("a right", () => {
  const patch: Right = { verb: "patch", group: "", resource: "pods" };
  const evict: Right = { verb: "create", group: "", resource: "pods", subresource: "eviction" };
  const rule = (verbs: string[], apiGroups: string[], resources: string[], more: Partial<ResourceRule> = {}) => ({
    verbs,
    apiGroups,
    resources,
    ...more,
  });
  test.each<[string, Right, ResourceRule, boolean]>([
    ["is given by name", patch, rule(["get", "patch"], [""], ["pods", "services"]), true],
    ["is given by wildcards", patch, rule(["*"], ["*"], ["*"]), true],
    ["of a subresource is given by its name", evict, rule(["create"], [""], ["pods/eviction"]), true],
    ["of a subresource is given for any resource", evict, rule(["create"], [""], ["*/eviction"]), true],
    ["of a subresource is not given with the resource", evict, rule(["create"], [""], ["pods"]), false],
    ["is not given by another verb", patch, rule(["update"], [""], ["pods"]), false],
    ["is not given in another API group", patch, rule(["patch"], ["apps"], ["pods"]), false],
    ["is not given for some names only", patch, rule(["patch"], [""], ["pods"], { resourceNames: ["a"] }), false],
    ["is given where no names are listed", patch, rule(["patch"], [""], ["pods"], { resourceNames: [] }), true],
    ["is not given by a rule without resources", patch, { verbs: ["*"] }, false],
  ])("%s", (_, right, only, expected) => {
    expect(isGranted([only], right)).toBe(expected);
  });
});
