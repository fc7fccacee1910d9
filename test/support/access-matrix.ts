/**
 * Who may do what, written out by hand and independent of the product's own table. A route that is not in here, or a line
 * without a route, fails the test.
 *
 * The columns, each a role bound in a workspace group `own`, as seen on things of that group:
 * V viewer · D developer of the application · d developer of another application of the group · O operator · A approver ·
 * M admin; and roles held everywhere: v viewer · a admin.
 * `+` is let in, `-` is refused with 403.
 */
const TABLE = `
                                                                                  V D d O A M  v a
GET    /workspace-groups                                                          + + + + + +  + +
GET    /workspace-groups/:group                                                   + + + + + +  + +
PUT    /workspace-groups/:group                                                   - - - - - +  - +
DELETE /workspace-groups/:group                                                   - - - - - +  - +
GET    /workspace-groups/:group/dashboard                                         + + + + + +  + +
GET    /dashboard                                                                 + + + + + +  + +
GET    /audit-records                                                             - - - + - +  - +

GET    /clusters                                                                  + + + + + +  + +
GET    /clusters/:name                                                            + + + + + +  + +
PUT    /clusters/:name                                                            - - - - - -  - +
DELETE /clusters/:name                                                            - - - - - -  - +

GET    /workspace-groups/:group/workspaces                                        + + + + + +  + +
GET    /workspace-groups/:group/workspaces/:name                                  + + + + + +  + +
PUT    /workspace-groups/:group/workspaces/:name                                  - - - - - +  - +
DELETE /workspace-groups/:group/workspaces/:name                                  - - - - - +  - +
GET    /workspace-groups/:group/cells                                             + + + + + +  + +
GET    /workspace-groups/:group/cells/:name                                       + + + + + +  + +
PUT    /workspace-groups/:group/cells/:name                                       - - - - - +  - +
DELETE /workspace-groups/:group/cells/:name                                       - - - - - +  - +
GET    /workspace-groups/:group/role-bindings                                     + + + + + +  + +
GET    /workspace-groups/:group/role-bindings/:name                               + + + + + +  + +
PUT    /workspace-groups/:group/role-bindings/:name                               - - - - - +  - +
DELETE /workspace-groups/:group/role-bindings/:name                               - - - - - +  - +
GET    /workspace-groups/:group/applications                                      + + + + + +  + +
GET    /workspace-groups/:group/applications/:name                                + + + + + +  + +
PUT    /workspace-groups/:group/applications/:name                                - - - - - +  - +
DELETE /workspace-groups/:group/applications/:name                                - - - - - +  - +
GET    /workspace-groups/:group/app-services                                      + + + + + +  + +
GET    /workspace-groups/:group/app-services/:name                                + + + + + +  + +
PUT    /workspace-groups/:group/app-services/:name                                - - - - - +  - +
DELETE /workspace-groups/:group/app-services/:name                                - - - - - +  - +

GET    /workspace-groups/:group/app-services/:service/revisions                   + + + + + +  + +
POST   /workspace-groups/:group/app-services/:service/revisions                   - + - + - +  - +
GET    /workspace-groups/:group/app-services/:service/revisions/:number           + + + + + +  + +
DELETE /workspace-groups/:group/app-services/:service/revisions/:number           - + - + - +  - +
GET    /workspace-groups/:group/app-services/:service/revisions/:number/export    + + + + + +  + +
GET    /workspace-groups/:group/app-services/:service/revisions/:number/changes   + + + + + +  + +
GET    /workspace-groups/:group/app-services/:service/revisions/:number/diff/:other + + + + + +  + +
POST   /workspace-groups/:group/app-services/:service/revisions/:number/actions/copy-to-draft - + - + - +  - +
GET    /workspace-groups/:group/app-services/:service/draft                       + + + + + +  + +
PUT    /workspace-groups/:group/app-services/:service/draft                       - + - + - +  - +
DELETE /workspace-groups/:group/app-services/:service/draft                       - + - + - +  - +
POST   /workspace-groups/:group/app-services/:service/draft/actions/submit        - + - + - +  - +
POST   /workspace-groups/:group/app-services/:service/draft/actions/import        - + - + - +  - +
POST   /workspace-groups/:group/app-services/:service/actions/change-image        - + - + - +  - +
POST   /workspace-groups/:group/app-services/:service/actions/scale               - + - + - +  - +
POST   /workspace-groups/:group/app-services/:service/actions/undeploy            - + - + - +  - +

GET    /orders                                                                    + + + + + +  + +
GET    /release-orders                                                            + + + + + +  + +
POST   /release-orders                                                            - + - + - +  - +
GET    /release-orders/:id                                                        + + + + + +  + +
GET    /release-orders/:id/events                                                 + + + + + +  + +
GET    /release-orders/:id/pods/:pod/events                                       + + + + + +  + +
GET    /release-orders/:id/pods/:pod/logs                                         + + + + + +  + +
POST   /release-orders/:id/actions/initialise                                     - + - + - +  - +
POST   /release-orders/:id/actions/start                                          - + - + - +  - +
POST   /release-orders/:id/actions/pause                                          - + - + - +  - +
POST   /release-orders/:id/actions/resume                                         - + - + - +  - +
POST   /release-orders/:id/actions/cancel                                         - + - + - +  - +
POST   /release-orders/:id/actions/retry                                          - + - + - +  - +
POST   /release-orders/:id/actions/rollback                                       - + - + - +  - +
POST   /release-orders/:id/actions/confirm-rollback                               - + - + - +  - +
POST   /release-orders/:id/actions/cancel-rollback                                - + - + - +  - +
POST   /release-orders/:id/actions/terminate                                      - - - + - +  - +
POST   /release-orders/:id/actions/release-locks                                  - - - - - +  - +
POST   /release-orders/:id/apps/:service/actions/retry                            - + - + - +  - +
POST   /release-orders/:id/apps/:service/actions/cancel                           - + - + - +  - +
POST   /release-orders/:id/apps/:service/actions/rollback                         - + - + - +  - +
POST   /release-orders/:id/apps/:service/actions/confirm-rollback                 - + - + - +  - +
POST   /release-orders/:id/apps/:service/actions/cancel-rollback                  - + - + - +  - +
POST   /release-orders/:id/tasks/:task/actions/confirm                            - + - + - +  - +
POST   /release-orders/:id/tasks/:task/actions/retry                              - + - + - +  - +
POST   /release-orders/:id/tasks/:task/actions/ignore                             - - - + - +  - +
POST   /release-orders/:id/tasks/:task/actions/cancel                             - + - + - +  - +
POST   /release-orders/:id/tasks/:task/actions/rollback                           - + - + - +  - +
POST   /release-orders/:id/tasks/:task/actions/cancel-rollback                    - + - + - +  - +
`;

/** Routes for which no token is asked. */
export const PUBLIC = ["GET /healthz", "GET /readyz", "GET /metrics", "GET /openapi.json"];

export const COLUMNS = ["V", "D", "d", "O", "A", "M", "v", "a"] as const;
export type Column = (typeof COLUMNS)[number];

export interface Line {
  readonly method: string;
  /** Below /api/v1. */
  readonly path: string;
  readonly allowed: ReadonlySet<Column>;
}

/** The table's lines, by `METHOD path`. */
export const MATRIX: ReadonlyMap<string, Line> = new Map(
  TABLE.split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => words.length === COLUMNS.length + 2)
    .map(([method = "", path = "", ...marks]) => {
      const allowed = new Set(COLUMNS.filter((_column, index) => marks[index] === "+"));
      return [`${method} ${path}`, { method, path, allowed }];
    }),
);
