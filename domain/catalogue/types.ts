import Type, { type Static } from "typebox";
import {
  ApplicationName,
  AppServiceName,
  AvailabilityZoneName,
  CellName,
  ClusterName,
  Description,
  DisplayName,
  NamespaceName,
  RegionName,
  WorkspaceGroupName,
  WorkspaceName,
  ZoneName,
} from "./names.ts";

/**
 * The catalogue's resources except revisions. `…Body` is what is put; the plain name is what is answered: the body with
 * its defaults, its name, and when and by which version it stands.
 */

const closed = { additionalProperties: false } as const;

const stamps = {
  /** Grows by one with every change; the entity tag is made of it. */
  version: Type.Integer({ minimum: 1 }),
  createdAt: Type.String({ format: "date-time" }),
  updatedAt: Type.String({ format: "date-time" }),
};

export const ClusterBody = Type.Object(
  {
    access: Type.Enum(["kubeconfig"]),
    kubeconfig: Type.String({
      minLength: 1,
      maxLength: 262_144,
      description: "a self-contained kubeconfig (YAML or JSON) of at most 262144 characters",
    }),
  },
  closed,
);
/** Never carries the kubeconfig itself. */
export const Cluster = Type.Object(
  {
    name: ClusterName,
    access: ClusterBody.properties.access,
    /** URL of the API server. */
    server: Type.String(),
    /** SHA-256 of the kubeconfig's text, hexadecimal: tells whether two registrations are the same. */
    fingerprint: Type.String(),
    ...stamps,
  },
  closed,
);

export const WorkspaceGroupBody = Type.Object({ description: Type.Optional(Description) }, closed);
export const WorkspaceGroup = Type.Object(
  { name: WorkspaceGroupName, ...WorkspaceGroupBody.properties, ...stamps },
  closed,
);

export const WorkspaceBody = Type.Object(
  { region: RegionName, displayName: Type.Optional(DisplayName), description: Type.Optional(Description) },
  closed,
);
export const Workspace = Type.Object({ name: WorkspaceName, ...WorkspaceBody.properties, ...stamps }, closed);

/** Kubernetes node labels; the syntax of keys and values is checked in `validate.ts`. */
const NodeSelector = Type.Record(Type.String(), Type.String({ maxLength: 63 }), {
  maxProperties: 50,
  description: "an object of at most 50 node labels",
});
export const CellBody = Type.Object(
  {
    workspace: WorkspaceName,
    zone: ZoneName,
    az: AvailabilityZoneName,
    cluster: ClusterName,
    /** Empty or left out: every node of the cluster. */
    nodeSelector: Type.Optional(NodeSelector),
  },
  closed,
);
export const Cell = Type.Object(
  { name: CellName, ...CellBody.properties, nodeSelector: NodeSelector, ...stamps },
  closed,
);

export const ApplicationBody = Type.Object({ owner: DisplayName, description: Type.Optional(Description) }, closed);
export const Application = Type.Object({ name: ApplicationName, ...ApplicationBody.properties, ...stamps }, closed);

export const AppServiceBody = Type.Object(
  {
    application: ApplicationName,
    namespace: NamespaceName,
    /** The workload kind that runs the service. */
    kind: Type.Optional(Type.Enum(["StatefulSet"], { default: "StatefulSet" })),
    description: Type.Optional(Description),
  },
  closed,
);
/** Identity of an app service: everything that is released is in its revisions. */
export const AppService = Type.Object(
  {
    name: AppServiceName,
    ...AppServiceBody.properties,
    kind: Type.Enum(["StatefulSet"]),
    ...stamps,
  },
  closed,
);

export type ClusterBody = Static<typeof ClusterBody>;
export type Cluster = Static<typeof Cluster>;
export type WorkspaceGroupBody = Static<typeof WorkspaceGroupBody>;
export type WorkspaceGroup = Static<typeof WorkspaceGroup>;
export type WorkspaceBody = Static<typeof WorkspaceBody>;
export type Workspace = Static<typeof Workspace>;
export type CellBody = Static<typeof CellBody>;
export type Cell = Static<typeof Cell>;
export type ApplicationBody = Static<typeof ApplicationBody>;
export type Application = Static<typeof Application>;
export type AppServiceBody = Static<typeof AppServiceBody>;
export type AppService = Static<typeof AppService>;
