/** Settings of all processes, from the environment. Everything that is wrong is said at once, then the process ends. */
import { isIP } from "node:net";
import { readEncryptionKey } from "../db/encryption.ts";
import type { EncryptionKey } from "../db/encryption.ts";

export type TemporalConfig = {
  address: string;
  namespace: string;
  tls: boolean;
  apiKey: string | undefined;
};

export type WorkerConfig = {
  databaseUrl: string;
  temporal: TemporalConfig;
  tenant: string;
  logLevel: string;
  /** File that is written once the process does its work. */
  readyFile: string | undefined;
};

export type OrchestratorConfig = WorkerConfig & {
  /** How long a task waits for a worker of its cluster before it fails, milliseconds. */
  queueWait: number;
  /** Workflows continue as new beyond that many history events; when the server suggests it unless told. */
  historyLimit: number | undefined;
  /** How long audit records and idempotency keys are kept, days. */
  retention: { auditDays: number; keyDays: number };
  /** Prebuilt workflow code; without it the worker builds its own at the start. */
  bundle: string | undefined;
};

export type ClusterConfig = WorkerConfig & {
  encryptionKey: EncryptionKey;
  /** Serve only these clusters; every registered one unless told. */
  only: string[] | undefined;
};

/** Whose tokens are believed: an issuer whose keys are in a file, an OpenID Connect issuer, or both. */
type TokenConfig = {
  local: { issuer: string; audience: string; jwksFile: string } | undefined;
  oidc:
    | {
        issuer: string;
        audience: string;
        /** Found by discovery unless told. */
        jwksUrl: string | undefined;
        groupsClaim: string;
        /** Put before its subjects and groups. */
        prefix: string;
      }
    | undefined;
  /** Administrators everywhere, by subject or group, with their prefix. */
  administrators: { subjects: string[]; groups: string[] };
};

export type ApiConfig = WorkerConfig & {
  host: string;
  port: number;
  /** Proxies whose word about whom they speak for is taken. */
  trustProxy: string[];
  tokens: TokenConfig;
  encryptionKey: EncryptionKey;
  historyLimit: number | undefined;
};

type Reader = ReturnType<typeof reader>;

function isLoopback(hostname: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}

/** Collects faults, so that they can be told together. */
function reader(env: NodeJS.ProcessEnv) {
  const faults: string[] = [];
  return {
    faults,
    required(name: string, what: string): string {
      const value = env[name];
      if (!value) faults.push(`${name} is not set: ${what}`);
      return value ?? "";
    },
    count(name: string, fallback: number, minimum: number, maximum: number): number {
      const value = env[name];
      if (value === undefined || value === "") return fallback;
      const number = Number(value);
      if (!Number.isInteger(number) || number < minimum || number > maximum) {
        faults.push(`${name} is "${value}": a whole number from ${minimum} to ${maximum} is needed`);
      }
      return number;
    },
    /** An https address, or an http one on this machine itself; keys that travel unprotected can be exchanged. */
    secureUrl(name: string): string | undefined {
      const value = env[name];
      if (!value) return undefined;
      const url = URL.canParse(value) ? new URL(value) : undefined;
      if (url?.protocol !== "https:" && !(url?.protocol === "http:" && isLoopback(url.hostname))) {
        faults.push(`${name} is "${value}": an https URL is needed`);
      }
      return value;
    },
    done(): void {
      if (faults.length > 0) throw new Error(`The environment is not complete:\n  ${faults.join("\n  ")}`);
    },
  };
}

function common(env: NodeJS.ProcessEnv, read: Reader): WorkerConfig {
  return {
    databaseUrl: read.required("DATABASE_URL", "a PostgreSQL URL, postgres://user:password@host:port/database"),
    temporal: {
      address: read.required("TEMPORAL_ADDRESS", "host:port of the Temporal server"),
      namespace: env["TEMPORAL_NAMESPACE"] || "default",
      tls: env["TEMPORAL_TLS"] === "1" || env["TEMPORAL_TLS"] === "true",
      apiKey: env["TEMPORAL_API_KEY"] || undefined,
    },
    tenant: env["CELLWRIGHT_TENANT"] || "local",
    logLevel: env["LOG_LEVEL"] || "info",
    readyFile: env["CELLWRIGHT_READY_FILE"] || undefined,
  };
}

function encryptionKey(read: Reader): EncryptionKey | undefined {
  const text = read.required("CELLWRIGHT_ENCRYPTION_KEY", "32 random bytes in base64; it seals kubeconfigs");
  if (!text) return undefined;
  try {
    return readEncryptionKey(text);
  } catch (error) {
    read.faults.push(`CELLWRIGHT_ENCRYPTION_KEY: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

function historyLimit(read: Reader): number | undefined {
  const limit = read.count("CELLWRIGHT_HISTORY_LIMIT", 0, 0, 50_000);
  return limit === 0 ? undefined : limit;
}

function tokens(env: NodeJS.ProcessEnv, read: Reader): TokenConfig {
  const hasOidc = Boolean(env["CELLWRIGHT_OIDC_ISSUER"]);
  const hasLocal = Boolean(env["CELLWRIGHT_ISSUER"]) || !hasOidc;
  const local = hasLocal
    ? {
        issuer: read.required("CELLWRIGHT_ISSUER", "the issuer (iss) of accepted tokens; or CELLWRIGHT_OIDC_ISSUER"),
        audience: read.required("CELLWRIGHT_AUDIENCE", "the audience (aud) of accepted tokens"),
        jwksFile: read.required("CELLWRIGHT_JWKS_FILE", "a file with the public keys (JWKS) of the issuer"),
      }
    : undefined;
  const oidc = hasOidc
    ? {
        issuer: read.secureUrl("CELLWRIGHT_OIDC_ISSUER") ?? "",
        audience: read.required("CELLWRIGHT_OIDC_AUDIENCE", "the audience (aud) of the OpenID Connect issuer's tokens"),
        jwksUrl: read.secureUrl("CELLWRIGHT_OIDC_JWKS_URL"),
        groupsClaim: env["CELLWRIGHT_OIDC_GROUPS_CLAIM"] || "groups",
        // Empty is a choice of its own: no prefix.
        prefix: env["CELLWRIGHT_OIDC_PREFIX"] ?? "oidc:",
      }
    : undefined;
  if (local && oidc && local.issuer === oidc.issuer) {
    read.faults.push("CELLWRIGHT_OIDC_ISSUER is the same as CELLWRIGHT_ISSUER: an issuer is either in a file or asked");
  }
  if (oidc && !/^[!-~]{0,64}$/.test(oidc.prefix)) {
    read.faults.push("CELLWRIGHT_OIDC_PREFIX must be at most 64 printable ASCII characters, without spaces");
  }
  const named = (env["CELLWRIGHT_ADMINS"] ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter(Boolean);
  const groups = named.filter((name) => name.startsWith("group:"));
  return {
    local,
    oidc,
    administrators: {
      subjects: named.filter((name) => !groups.includes(name)),
      groups: groups.map((name) => name.slice("group:".length)),
    },
  };
}

/** Addresses of proxies in front of the API, or blocks of them. */
function proxies(env: NodeJS.ProcessEnv, read: Reader): string[] {
  const listed = (env["CELLWRIGHT_TRUST_PROXY"] ?? "").split(",").map((one) => one.trim());
  const given = listed.filter(Boolean);
  const odd = given.filter((one) => {
    const [address = "", bits = "0", more] = one.split("/");
    return (
      isIP(address) === 0 ||
      more !== undefined ||
      !/^\d{1,3}$/.test(bits) ||
      Number(bits) > (isIP(address) === 4 ? 32 : 128)
    );
  });
  if (odd.length > 0) {
    read.faults.push(
      `CELLWRIGHT_TRUST_PROXY has ${odd.join(", ")}: IP addresses or blocks such as 10.0.0.0/8 are needed`,
    );
  }
  return given;
}

/** For processes that need the database and Temporal only. @throws Error naming every missing or malformed setting */
export function readWorkerConfig(env: NodeJS.ProcessEnv = process.env): WorkerConfig {
  const read = reader(env);
  const config = common(env, read);
  read.done();
  return config;
}

/** @throws Error naming every missing or malformed setting */
export function readOrchestratorConfig(env: NodeJS.ProcessEnv = process.env): OrchestratorConfig {
  const read = reader(env);
  const config = {
    ...common(env, read),
    queueWait: read.count("CELLWRIGHT_QUEUE_WAIT_SECONDS", 300, 5, 86_400) * 1000,
    historyLimit: historyLimit(read),
    retention: {
      auditDays: read.count("CELLWRIGHT_AUDIT_DAYS", 400, 1, 36_500),
      keyDays: read.count("CELLWRIGHT_KEY_DAYS", 7, 1, 365),
    },
    bundle: env["CELLWRIGHT_WORKFLOW_BUNDLE"] || undefined,
  };
  read.done();
  return config;
}

/** @throws Error naming every missing or malformed setting */
export function readClusterConfig(env: NodeJS.ProcessEnv = process.env): ClusterConfig {
  const read = reader(env);
  const key = encryptionKey(read);
  const only = (env["CELLWRIGHT_CLUSTERS"] ?? "").split(",").filter(Boolean);
  const config = { ...common(env, read), only: only.length > 0 ? only : undefined };
  read.done();
  if (!key) throw new Error("CELLWRIGHT_ENCRYPTION_KEY cannot be read");
  return { ...config, encryptionKey: key };
}

/** @throws Error naming every missing or malformed setting */
export function readApiConfig(env: NodeJS.ProcessEnv = process.env): ApiConfig {
  const read = reader(env);
  const key = encryptionKey(read);
  const config = {
    ...common(env, read),
    host: env["CELLWRIGHT_HOST"] || "127.0.0.1",
    port: read.count("CELLWRIGHT_PORT", 8400, 0, 65_535),
    trustProxy: proxies(env, read),
    tokens: tokens(env, read),
    historyLimit: historyLimit(read),
  };
  read.done();
  if (!key) throw new Error("CELLWRIGHT_ENCRYPTION_KEY cannot be read");
  return { ...config, encryptionKey: key };
}
