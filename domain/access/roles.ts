/** Roles and their bindings: who is what, and where. */
import Type, { type Static } from "typebox";
import { ApplicationName, DNS_LABEL_PATTERN } from "../catalogue/names.ts";
import type { Fault } from "../catalogue/faults.ts";

/** From the weakest to the strongest hand; only the table of permissions says what each may do. */
export const ROLES = ["viewer", "approver", "developer", "operator", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** Roles that an issuer of ours, or the configuration, may give everywhere instead of in one workspace group. */
export const EVERYWHERE_ROLES = ["viewer", "admin"] as const satisfies readonly Role[];

/** Roles that can be bound for some applications only: the others read whole groups, or rule them. */
const RESTRICTABLE: readonly Role[] = ["developer", "operator"];

export const RoleBindingName = Type.String({
  pattern: DNS_LABEL_PATTERN,
  minLength: 1,
  maxLength: 64,
  description:
    'a role binding name of 1 to 64 characters: lowercase letters, digits and "-", beginning with a letter and ending ' +
    "with a letter or digit",
});

const principal = (what: string) =>
  Type.String({ pattern: "^[!-~]{1,255}$", description: `${what}: 1 to 255 printable ASCII characters, no space` });

export const RoleBindingBody = Type.Object(
  {
    subject: Type.Optional(principal("the subject of tokens, as audit records show it")),
    groupClaim: Type.Optional(principal("a value of the tokens' claim of groups")),
    role: Type.Enum([...ROLES], { description: `one of ${ROLES.join(", ")}` }),
    applications: Type.Optional(
      Type.Array(ApplicationName, {
        minItems: 1,
        maxItems: 200,
        uniqueItems: true,
        description: "names of applications, each once, 1 to 200; left out: all of the group, also those to come",
      }),
    ),
  },
  { additionalProperties: false },
);
export type RoleBindingBody = Static<typeof RoleBindingBody>;

export const RoleBinding = Type.Object(
  {
    name: RoleBindingName,
    ...RoleBindingBody.properties,
    version: Type.Integer({ minimum: 1 }),
    createdAt: Type.String({ format: "date-time" }),
    updatedAt: Type.String({ format: "date-time" }),
  },
  { additionalProperties: false },
);
export type RoleBinding = Static<typeof RoleBinding>;

/** Rules of a binding that its schema cannot express. */
export function roleBindingFaults({ subject, groupClaim, role, applications }: RoleBindingBody): Fault[] {
  const faults: Fault[] = [];
  if ((subject === undefined) === (groupClaim === undefined)) {
    const field = subject === undefined ? "" : "/groupClaim";
    faults.push({ field, message: "must name either a subject or a groupClaim, and not both" });
  }
  if (applications !== undefined && !RESTRICTABLE.includes(role)) {
    const message = `belongs to the roles ${RESTRICTABLE.join(" and ")} only: ${role} is held in whole groups`;
    faults.push({ field: "/applications", message });
  }
  return faults;
}
