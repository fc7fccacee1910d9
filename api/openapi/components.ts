/** Shapes that occur in many places of the OpenAPI document: said once under `components`, and referred to by name. */
import type { TSchema } from "typebox";
import { RoleBinding } from "../../domain/access/roles.ts";
import { RevisionBody } from "../../domain/catalogue/revision.ts";
import { Access, AccessBody } from "../../domain/catalogue/template/access.ts";
import {
  Container,
  ContainerBody,
  InitContainer,
  InitContainerBody,
} from "../../domain/catalogue/template/container.ts";
import { PodTemplate, PodTemplateBody } from "../../domain/catalogue/template/pod.ts";
import { Affinity } from "../../domain/catalogue/template/scheduling.ts";
import { Volume } from "../../domain/catalogue/template/volume.ts";
import { Application, AppService, Cell, Cluster, Workspace, WorkspaceGroup } from "../../domain/catalogue/types.ts";
import { RevisionDraft, RevisionView } from "../../domain/revision/types.ts";
import { OrderSummary, ReleaseOrder } from "../order-view.ts";

/** By the name that the document gives them. As in the sources, `…Body` is what is sent, the plain name what is answered. */
export const NAMED_SCHEMAS: Readonly<Record<string, TSchema>> = {
  Access,
  AccessBody,
  Affinity,
  Application,
  AppService,
  Cell,
  Cluster,
  Container,
  ContainerBody,
  InitContainer,
  InitContainerBody,
  OrderSummary,
  PodTemplate,
  PodTemplateBody,
  ReleaseOrder,
  Revision: RevisionView,
  RevisionBody,
  RevisionDraft,
  RoleBinding,
  Volume,
  Workspace,
  WorkspaceGroup,
};

/** Parts of a document: what every path can do, and what is said once for all of them, by kind and name. */
type Parts = { paths: object; components: Record<string, object> };

/** Kinds of components that the document repeats where it could refer. */
const KINDS = ["schemas", "responses"] as const;

/**
 * Lets everything that is written like a named schema or response refer to it, the named ones to each other too. Pure.
 * Compares texts, members in their order: both come from the same sources through the same library.
 */
export function shareComponents({ paths, components }: Parts): Parts {
  const pointers = new Map(
    KINDS.flatMap((kind) =>
      Object.entries(components[kind] ?? {}).map(([name, part]) => [
        JSON.stringify(part),
        `#/components/${kind}/${name}`,
      ]),
    ),
  );
  const refer = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(refer);
    if (node === null || typeof node !== "object") return node;
    // Only what may be named is written out for the comparison.
    const pointer = "properties" in node || "content" in node ? pointers.get(JSON.stringify(node)) : undefined;
    return pointer === undefined ? within(node) : { $ref: pointer };
  };
  const within = (node: object): object =>
    Object.fromEntries(Object.entries(node).map(([key, value]) => [key, refer(value)]));
  const shared = KINDS.map((kind) => [
    kind,
    Object.fromEntries(Object.entries(components[kind] ?? {}).map(([name, part]) => [name, within(part as object)])),
  ]);
  return { paths: within(paths), components: { ...components, ...Object.fromEntries(shared) } };
}
