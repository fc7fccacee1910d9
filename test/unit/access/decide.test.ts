import { describe, expect, test } from "vitest";
import {
  decideEverywhere,
  decideInGroup,
  groupsWith,
  holdsNothing,
  settleOwn,
  type Grant,
  type Grants,
} from "../../../domain/access/decide.ts";
import { PERMISSIONS, VERB_PERMISSIONS, type Permission } from "../../../domain/access/permissions.ts";
import { roleBindingFaults, ROLES, type Role, type RoleBindingBody } from "../../../domain/access/roles.ts";

const everywhere = (...roles: Role[]): Grants => ({ everywhere: roles, bindings: [] });
const bound = (...bindings: Grant[]): Grants => ({ everywhere: [], bindings });
const grant = (role: Role, applications?: string[], group = "shop"): Grant => ({ group, role, applications });

describe("in a group", () => {
  test.each<[string, Grants, Permission, string]>([
    ["nothing held", bound(), "orders.read", "hidden"],
    ["a role in another group", bound(grant("admin", undefined, "bank")), "orders.read", "hidden"],
    ["a viewer reads", bound(grant("viewer")), "orders.read", "granted"],
    ["a viewer does not write", bound(grant("viewer")), "orders.create", "refused"],
    ["an approver reads", bound(grant("approver")), "revisions.read", "granted"],
    ["an approver does not steer", bound(grant("approver")), "orders.steer", "refused"],
    ["a developer of the whole group", bound(grant("developer")), "orders.steer", "granted"],
    ["a developer of some applications", bound(grant("developer", ["Shop"])), "orders.steer", "own"],
    ["a developer of some applications reads all", bound(grant("developer", ["Shop"])), "revisions.read", "granted"],
    ["a developer does not terminate", bound(grant("developer")), "orders.override", "refused"],
    ["an operator does", bound(grant("operator")), "orders.override", "granted"],
    ["an operator of some applications", bound(grant("operator", ["Shop"])), "orders.override", "own"],
    ["and none of the whole group's affairs", bound(grant("operator", ["Shop"])), "audit.read", "refused"],
    ["an operator does not free locks", bound(grant("operator")), "orders.release-locks", "refused"],
    ["an administrator of the group does", bound(grant("admin")), "orders.release-locks", "granted"],
    ["but registers no clusters", bound(grant("admin")), "clusters.write", "refused"],
    ["a viewer of everything reads", everywhere("viewer"), "orders.read", "granted"],
    ["and is told when refused", everywhere("viewer"), "orders.create", "refused"],
    ["an administrator of everything", everywhere("admin"), "groups.write", "granted"],
  ])("%s", (_what, grants, permission, kind) => {
    expect(decideInGroup(grants, permission, "shop").kind).toBe(kind);
  });

  test("the strongest role that grants it is the one that is recorded", () => {
    const grants = bound(grant("viewer"), grant("developer"), grant("operator"));
    expect(decideInGroup(grants, "orders.steer", "shop")).toEqual({ kind: "granted", role: "operator" });
    expect(decideInGroup(bound(grant("developer", ["A"]), grant("operator")), "orders.steer", "shop").kind).toBe(
      "granted",
    );
    expect(decideInGroup({ ...bound(grant("operator")), everywhere: ["viewer"] }, "orders.steer", "shop")).toEqual({
      kind: "granted",
      role: "operator",
    });
  });

  test.each([...ROLES])("role %s in one group is nothing in another, for every permission", (role) => {
    for (const permission of Object.keys(PERMISSIONS) as Permission[]) {
      expect(decideInGroup(bound(grant(role, undefined, "bank")), permission, "shop").kind).toBe("hidden");
    }
  });
});

describe("own services", () => {
  const own = decideInGroup(bound(grant("developer", ["Shop"]), grant("developer", ["Bank"])), "orders.steer", "shop");
  test.each<[string, (string | undefined)[], string]>([
    ["of one's applications", ["Shop"], "granted"],
    ["of several of them", ["Shop", "Bank", "Shop"], "granted"],
    ["one of somebody else's", ["Shop", "Mail"], "refused"],
    ["one that does not exist", ["Shop", undefined], "refused"],
    ["none at all", [], "refused"],
  ])("%s", (_what, applications, kind) => expect(settleOwn(own, applications).kind).toBe(kind));

  test("bindings of roles that do not grant it do not add their applications", () => {
    const grants = bound(grant("developer", ["Shop"]), grant("operator", ["Bank"]));
    const decision = decideInGroup(grants, "orders.override", "shop");
    expect(settleOwn(decision, ["Bank"]).kind).toBe("granted");
    expect(settleOwn(decision, ["Shop"]).kind).toBe("refused");
  });

  test("what is settled stays so", () => {
    expect(settleOwn({ kind: "hidden" }, ["Shop"])).toEqual({ kind: "hidden" });
    expect(settleOwn({ kind: "granted", role: "admin" }, [])).toEqual({ kind: "granted", role: "admin" });
  });
});

test("groups to which a permission extends", () => {
  const grants = bound(
    grant("viewer", undefined, "a"),
    grant("developer", ["X"], "b"),
    grant("operator", undefined, "c"),
    grant("operator", ["X"], "d"),
  );
  expect(groupsWith(grants, "orders.read")).toEqual(["a", "b", "c", "d"]);
  expect(groupsWith(grants, "orders.steer")).toEqual(["b", "c", "d"]);
  expect(groupsWith(grants, "audit.read")).toEqual(["c"]);
  expect(groupsWith(everywhere("viewer"), "orders.read")).toBe("all");
  expect(groupsWith(everywhere("viewer"), "audit.read")).toEqual([]);
  expect(groupsWith(bound(), "orders.read")).toEqual([]);
  expect([holdsNothing(bound()), holdsNothing(grants), holdsNothing(everywhere("viewer"))]).toEqual([
    true,
    false,
    false,
  ]);
  expect(decideEverywhere(grants, "clusters.write").kind).toBe("refused");
});

test("no permission is without roles, and every verb has one", () => {
  for (const { roles } of Object.values(PERMISSIONS)) expect(roles.length).toBeGreaterThan(0);
  for (const permission of Object.values(VERB_PERMISSIONS)) expect(PERMISSIONS).toHaveProperty([permission]);
});

describe("role bindings", () => {
  test.each<[string, RoleBindingBody, string[]]>([
    ["a subject", { subject: "x", role: "viewer" }, []],
    ["a group claim", { groupClaim: "x", role: "admin" }, []],
    ["applications of a developer", { subject: "x", role: "developer", applications: ["A"] }, []],
    ["applications of an operator", { subject: "x", role: "operator", applications: ["A"] }, []],
    ["nobody", { role: "viewer" }, [""]],
    ["both", { subject: "x", groupClaim: "y", role: "viewer" }, ["/groupClaim"]],
    ["applications of an administrator", { subject: "x", role: "admin", applications: ["A"] }, ["/applications"]],
    ["applications of a viewer", { role: "viewer", applications: ["A"] }, ["", "/applications"]],
  ])("%s", (_what, body, fields) => {
    expect(roleBindingFaults(body).map(({ field }) => field)).toEqual(fields);
  });
});
