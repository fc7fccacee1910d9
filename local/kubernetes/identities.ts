import { generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import type { KubernetesAccess } from "./request.ts";

/** One identity for each component, so that the audit log tells who wrote. Value: the group it belongs to. */
const groups = {
  admin: "system:masters",
  "controller-manager": "system:masters",
  scheduler: "system:masters",
  kwok: "system:masters",
  kubelet: "system:masters",
  // The product: no group, only what its role grants.
  cellwright: "",
} as const;

export type Identity = keyof typeof groups;

export interface Identities {
  tokens: Record<Identity, string>;
  /** The API server's `--token-auth-file`. */
  tokenFile: string;
  /** Signs the tokens of service accounts. */
  serviceAccountKey: string;
}

/** Reads the identities kept in `directory`, or makes them. They stay the same from start to start. */
export function ensureIdentities(directory: string): Identities {
  const file = join(directory, "tokens.json");
  const kept = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Partial<Record<Identity, string>>) : {};
  const names = Object.keys(groups) as Identity[];
  const tokens = Object.fromEntries(
    names.map((name) => [name, kept[name] ?? randomBytes(24).toString("base64url")]),
  ) as Record<Identity, string>;
  writeFileSync(file, JSON.stringify(tokens), { mode: 0o600 });

  const tokenFile = join(directory, "tokens.csv");
  const lines = names.map((name) => `${tokens[name]},${name},${name},"${groups[name]}"\n`);
  writeFileSync(tokenFile, lines.join(""), { mode: 0o600 });

  const serviceAccountKey = join(directory, "service-account.key");
  if (!existsSync(serviceAccountKey)) {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    writeFileSync(serviceAccountKey, privateKey.export({ type: "pkcs1", format: "pem" }), { mode: 0o600 });
  }
  return { tokens, tokenFile, serviceAccountKey };
}

/** A kubeconfig that holds all it needs: no reference to a file or program, and the server's certificate is checked. */
export function renderKubeconfig(user: Identity, access: KubernetesAccess): string {
  const name = "cellwright-local";
  const data = Buffer.from(access.certificate).toString("base64");
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server: access.server, "certificate-authority-data": data } }],
    users: [{ name: user, user: { token: access.token } }],
    contexts: [{ name, context: { cluster: name, user } }],
    "current-context": name,
  });
}
