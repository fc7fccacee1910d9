/** Where one app service lives in one cell: everything that rendering needs besides the revision. Stable over revisions. */
export type Placement = {
  tenant: string;
  workspaceGroup: string;
  workspace: string;
  region: string;
  zone: string;
  /** Availability zone; CAFE_ENV_DATA_CENTER. */
  az: string;
  cell: string;
  nodeSelector: Record<string, string>;
  application: string;
  service: string;
  namespace: string;
};
