/** A release order as it is asked for (spec: release §2.1). */
import Type, { type Static } from "typebox";
import { findCycle } from "../pipeline/graph.ts";
import { AppServiceName, WorkspaceGroupName } from "../catalogue/names.ts";

const closed = { additionalProperties: false };

/** Each is a task of the order, and all of an order's own tasks travel together. */
const MOST_EDGES = 1_000;

export const ReleaseOrderBody = Type.Object(
  {
    workspaceGroup: WorkspaceGroupName,
    title: Type.String({
      minLength: 1,
      maxLength: 100,
      pattern: "\\S",
      description: "a text of 1 to 100 characters, not blank",
    }),
    /** GROUPED: group after group. */
    type: Type.Enum(["GROUPED"], { description: "GROUPED" }),
    apps: Type.Array(
      Type.Object(
        {
          service: AppServiceName,
          /** Revision number; the newest unless told. */
          revision: Type.Optional(
            Type.Integer({ minimum: 1, maximum: 2_147_483_647, description: "the number of a revision" }),
          ),
        },
        closed,
      ),
      { minItems: 1, maxItems: 500, description: "a list of 1 to 500 app services" },
    ),
    /** Id of a failed order whose place this one takes at its start: with its locks, and of all that it has changed. */
    supersedes: Type.Optional(
      Type.String({ pattern: "^[a-z0-9]{1,40}$", description: "the id of the order that this one supersedes" }),
    ),
    /** `service` is released only after all that it needs. */
    dependencies: Type.Optional(
      Type.Array(
        Type.Object(
          {
            service: AppServiceName,
            needs: Type.Array(AppServiceName, { minItems: 1, maxItems: 500, description: "a list of services" }),
          },
          closed,
        ),
        { maxItems: 500, description: "a list of dependencies" },
      ),
    ),
  },
  closed,
);
export type ReleaseOrderBody = Static<typeof ReleaseOrderBody>;

/** How pods go back: as the revision's policy says, without beta and pauses, unless told otherwise. */
const GroupingOptions = Type.Partial(
  Type.Object({
    strategy: Type.Enum(["BY_CELL", "QUICK"], { description: "BY_CELL or QUICK" }),
    minGroups: Type.Integer({ minimum: 1, maximum: 1000, description: "a whole number from 1 to 1000" }),
    beta: Type.Boolean({ description: "true or false" }),
    pause: Type.Enum(["ALL", "FIRST", "OFF"], { description: "ALL, FIRST or OFF" }),
  }),
  { ...closed, description: "how pods are cut into groups on the way back" },
);
export const RollbackOptions = Type.Object(
  {
    grouping: Type.Optional(GroupingOptions),
    /** Services that were never released successfully, whose rollback removes them: to be named, as a second confirmation. */
    remove: Type.Optional(
      Type.Array(AppServiceName, {
        maxItems: 500,
        description: "the names of the app services that the rollback removes altogether",
      }),
    ),
  },
  closed,
);
export type RollbackOptions = Static<typeof RollbackOptions>;

/** As stored: revisions settled, each edge once. */
export type ReleaseRequest = {
  type: "GROUPED";
  apps: { service: string; revision: number }[];
  dependencies: { service: string; needs: string[] }[];
};

export type OrderFault = { field: string; message: string };

/** What JSON Schema cannot say: services named twice or not in the order, dependencies on oneself or in a circle. All faults at once. */
export function validateReleaseOrder(body: ReleaseOrderBody): OrderFault[] {
  const faults: OrderFault[] = [];
  const names = new Set<string>();
  body.apps.forEach(({ service }, index) => {
    if (names.has(service)) {
      faults.push({ field: `/apps/${index}/service`, message: `${service} is named twice: name every service once` });
    }
    names.add(service);
  });
  const needs = needsOf(body);
  (body.dependencies ?? []).forEach((edge, index) => {
    const check = (service: string, field: string): void => {
      if (!names.has(service)) {
        faults.push({
          field,
          message: `${service} is not among the apps of this order: add it, or leave this dependency out`,
        });
      }
    };
    check(edge.service, `/dependencies/${index}/service`);
    edge.needs.forEach((need, at) => check(need, `/dependencies/${index}/needs/${at}`));
  });
  const edges = [...needs.values()].reduce((sum, those) => sum + those.length, 0);
  if (edges > MOST_EDGES) {
    faults.push({
      field: "/dependencies",
      message: `there are ${edges} dependencies, at most ${MOST_EDGES} are possible: leave out those that follow from others`,
    });
    return faults;
  }
  const cycle = findCycle(needs);
  if (cycle) {
    faults.push({
      field: "/dependencies",
      message: `these services need each other in a circle: ${cycle.join(" → ")}. Take out one of these dependencies`,
    });
  }
  return faults;
}

/** Service → those it needs, each once, in a stable order. */
export function needsOf(body: Pick<ReleaseOrderBody, "dependencies">): Map<string, string[]> {
  const needs = new Map<string, Set<string>>();
  for (const edge of body.dependencies ?? []) {
    const those = needs.get(edge.service) ?? new Set();
    for (const need of edge.needs) those.add(need);
    needs.set(edge.service, those);
  }
  return new Map([...needs].map(([service, those]) => [service, [...those].toSorted()]));
}
