import { createHash } from "node:crypto";
import { and, asc, eq, gt, inArray, sql } from "drizzle-orm";
import type { DeleteOutcome, ExpectedVersion, PutOutcome } from "../../domain/catalogue/refusal.ts";
import type { Cluster } from "../../domain/catalogue/types.ts";
import type { Tx } from "../client.ts";
import { open, seal, type EncryptionKey } from "../encryption.ts";
import { cells, clusters } from "../schema/catalogue.ts";
import { putRow, removeRow } from "./put.ts";
import { bump, NAMED_DEPENDANTS, page, stamps, type Page, type PageRequest } from "./rows.ts";

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

function show(row: Row): Cluster {
  const { name, access, server, fingerprint } = row;
  return { name, access, server, fingerprint, ...stamps(row) };
}

function describe(name: string): string {
  return `cluster "${name}"`;
}

function sealContext(name: string): string {
  return `cluster:${name}`;
}

/** A cluster is seen from the groups that have a cell on it; from "all" also where none has. */
function seenFrom(groups: "all" | readonly string[]) {
  if (groups === "all") return undefined;
  return sql`exists (select 1 from ${cells} where ${cells.cluster} = ${clusters.name}
    and ${inArray(cells.workspaceGroup, [...groups])})`;
}

export async function getCluster(
  tx: Tx,
  name: string,
  groups: "all" | readonly string[] = "all",
): Promise<Cluster | undefined> {
  const [row] = await tx
    .select(shown)
    .from(clusters)
    .where(and(eq(clusters.name, name), seenFrom(groups)));
  return row === undefined ? undefined : show(row);
}

export async function listClusters(
  tx: Tx,
  request: PageRequest<string>,
  groups: "all" | readonly string[] = "all",
): Promise<Page<Cluster>> {
  const rows = await tx
    .select(shown)
    .from(clusters)
    .where(and(request.after === undefined ? undefined : gt(clusters.name, request.after), seenFrom(groups)))
    .orderBy(asc(clusters.name))
    .limit(request.limit + 1);
  return page(rows, request.limit, show);
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
  const values = () => ({ access, server, fingerprint, kubeconfig: seal(key, sealContext(name), kubeconfig) });
  return putRow({
    what: describe(name),
    expected,
    find: () => findLocked(tx, name),
    insert: async () =>
      (
        await tx
          .insert(clusters)
          .values({ name, ...values() })
          .onConflictDoNothing()
          .returning(shown)
      )[0],
    same: (row) => row.access === access && row.fingerprint === fingerprint,
    update: async () =>
      (
        await tx
          .update(clusters)
          .set({ ...values(), ...bump(clusters.version) })
          .where(eq(clusters.name, name))
          .returning(shown)
      )[0],
    show,
  });
}

export function deleteCluster(tx: Tx, name: string, expected?: ExpectedVersion): Promise<DeleteOutcome> {
  return removeRow(tx, {
    what: describe(name),
    expected,
    find: () => findLocked(tx, name),
    dependants: async () => {
      const rows = await tx
        .select({ group: cells.workspaceGroup, name: cells.name })
        .from(cells)
        .where(eq(cells.cluster, name))
        .orderBy(asc(cells.workspaceGroup), asc(cells.name))
        .limit(NAMED_DEPENDANTS);
      return rows.map((row) => `cell "${row.name}" of workspace group "${row.group}"`);
    },
    remove: (inner) => inner.delete(clusters).where(eq(clusters.name, name)),
  });
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

async function findLocked(tx: Tx, name: string): Promise<Row | undefined> {
  return (await tx.select(shown).from(clusters).where(eq(clusters.name, name)).for("update"))[0];
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
