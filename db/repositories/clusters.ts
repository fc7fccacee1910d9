import { createHash } from "node:crypto";
import { asc, eq, inArray, sql } from "drizzle-orm";
import type { DeleteOutcome, ExpectedVersion, PutOutcome } from "../../domain/catalogue/refusal.ts";
import type { Cluster } from "../../domain/catalogue/types.ts";
import type { Tx } from "../client.ts";
import { open, seal, type EncryptionKey } from "../encryption.ts";
import { cells, clusters } from "../schema/catalogue.ts";
import { namedRows } from "./named.ts";
import { NAMED_DEPENDANTS, stamps, type Page, type PageRequest } from "./rows.ts";

/** Everything but the kubeconfig, which leaves the database only through `readKubeconfig`. */
const shown = {
  name: clusters.name,
  access: clusters.access,
  server: clusters.server,
  fingerprint: clusters.fingerprint,
  version: clusters.version,
  createdAt: clusters.createdAt,
  updatedAt: clusters.updatedAt,
};
type Row = Omit<typeof clusters.$inferSelect, "kubeconfig">;

const rows = namedRows<Row, typeof clusters.$inferInsert, Cluster>({
  table: clusters,
  noun: "cluster",
  columns: shown,
  show: (row) => {
    const { name, access, server, fingerprint } = row;
    return { name, access, server, fingerprint, ...stamps(row) };
  },
});

function sealContext(name: string): string {
  return `cluster:${name}`;
}

/** A cluster is seen from the groups that have a cell on it; from "all" also where none has. */
function seenFrom(groups: "all" | readonly string[]) {
  if (groups === "all") return undefined;
  return sql`exists (select 1 from ${cells} where ${cells.cluster} = ${clusters.name}
    and ${inArray(cells.workspaceGroup, [...groups])})`;
}

export function getCluster(
  tx: Tx,
  name: string,
  groups: "all" | readonly string[] = "all",
): Promise<Cluster | undefined> {
  return rows.get(tx, name, seenFrom(groups));
}

export function listClusters(
  tx: Tx,
  request: PageRequest<string>,
  groups: "all" | readonly string[] = "all",
): Promise<Page<Cluster>> {
  return rows.list(tx, request, seenFrom(groups));
}

/** A registration whose kubeconfig has been checked. */
export interface ClusterRegistration {
  readonly access: "kubeconfig";
  readonly kubeconfig: string;
  /** URL of the API server that the kubeconfig names. */
  readonly server: string;
}

export function putCluster(
  tx: Tx,
  key: EncryptionKey,
  name: string,
  registration: ClusterRegistration,
  expected?: ExpectedVersion,
): Promise<PutOutcome<Cluster>> {
  const { access, kubeconfig, server } = registration;
  const fingerprint = createHash("sha256").update(kubeconfig).digest("hex");
  // Two seals of one kubeconfig differ: whether it has changed is told by its fingerprint.
  const values = { access, server, fingerprint, kubeconfig: seal(key, sealContext(name), kubeconfig) };
  return rows.put(tx, name, { expected, values });
}

export function deleteCluster(tx: Tx, name: string, expected?: ExpectedVersion): Promise<DeleteOutcome> {
  const dependants = async () => {
    const found = await tx
      .select({ group: cells.workspaceGroup, name: cells.name })
      .from(cells)
      .where(eq(cells.cluster, name))
      .orderBy(asc(cells.workspaceGroup), asc(cells.name))
      .limit(NAMED_DEPENDANTS);
    return found.map((cell) => `cell "${cell.name}" of workspace group "${cell.group}"`);
  };
  return rows.remove(tx, name, { expected, dependants });
}

/**
 * The decrypted kubeconfig of a cluster, for whoever is about to connect to it.
 * @returns undefined when no such cluster is registered.
 * @throws Error when it was encrypted with another key.
 */
export async function readKubeconfig(tx: Tx, key: EncryptionKey, name: string): Promise<string | undefined> {
  const [row] = await tx.select({ kubeconfig: clusters.kubeconfig }).from(clusters).where(eq(clusters.name, name));
  return row === undefined ? undefined : open(key, sealContext(name), row.kubeconfig);
}

/** A cluster as its workers know it; `fingerprint` changes with the kubeconfig. */
export interface Registration {
  readonly name: string;
  readonly server: string;
  readonly fingerprint: string;
}

/** Every registered cluster. */
export async function readRegistrations(tx: Tx): Promise<Registration[]> {
  return tx
    .select({ name: clusters.name, server: clusters.server, fingerprint: clusters.fingerprint })
    .from(clusters)
    .orderBy(asc(clusters.name));
}
