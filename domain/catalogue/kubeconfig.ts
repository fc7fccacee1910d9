/** A kubeconfig that may be kept, or everything that forbids it. */
export type KubeconfigCheck =
  | { readonly ok: true; readonly server: string }
  | { readonly ok: false; readonly faults: readonly string[] };

type Fields = Readonly<Record<string, unknown>>;

/** Why a field cannot be taken: it would run code, or read files, on the machine that uses the kubeconfig. */
const REFUSED: Readonly<Record<string, string>> = {
  exec: "would run a command on our machines; put a service account token in its place",
  "auth-provider": "would fetch credentials on our machines; put a service account token in its place",
  tokenFile: 'refers to a file; put its content into "token"',
  "client-certificate": 'refers to a file; put its content, in base64, into "client-certificate-data"',
  "client-key": 'refers to a file; put its content, in base64, into "client-key-data"',
  "certificate-authority": 'refers to a file; put its content, in base64, into "certificate-authority-data"',
  "proxy-url": "would send the credentials through a proxy; register an address that is reached directly",
};
const TAKEN = {
  cluster: new Set([
    "server",
    "certificate-authority-data",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "disable-compression",
    "extensions",
  ]),
  user: new Set(["token", "username", "password", "client-certificate-data", "client-key-data", "extensions"]),
};

/**
 * Checks that a kubeconfig, already parsed from YAML, is complete in itself and safe to use on our machines. Every entry
 * is checked, not only the current one, because the whole text is kept. Faults name paths, never values.
 */
export function checkKubeconfig(parsed: unknown): KubeconfigCheck {
  if (!isFields(parsed)) return { ok: false, faults: ["is not a mapping with clusters, users and contexts"] };
  const faults: string[] = [];
  if (parsed.kind !== undefined && parsed.kind !== "Config") faults.push('kind must be "Config"');
  const clusters = named(parsed, "clusters", "cluster", faults);
  const users = named(parsed, "users", "user", faults);
  const contexts = named(parsed, "contexts", "context", faults);
  for (const cluster of clusters.values()) checkCluster(cluster, faults);
  for (const user of users.values()) checkUser(user, faults);

  const current = parsed["current-context"];
  if (typeof current !== "string" || current === "") {
    faults.push("current-context is missing; set it to the name of the context to use");
    return { ok: false, faults };
  }
  const context = contexts.get(current);
  if (context === undefined) {
    faults.push("current-context names no entry of contexts");
    return { ok: false, faults };
  }
  const cluster = clusters.get(String(context.fields.cluster));
  if (cluster === undefined) faults.push(`${context.path}.cluster names no entry of clusters`);
  const user = users.get(String(context.fields.user));
  if (user === undefined) faults.push(`${context.path}.user names no entry of users`);
  else if (!hasCredentials(user.fields) && !hasRefusedFields(user.fields)) {
    faults.push(
      `${user.path} has no credentials; give "token", or "client-certificate-data" and "client-key-data", ` +
        'or "username" and "password"',
    );
  }
  if (faults.length > 0 || cluster === undefined) return { ok: false, faults };
  return { ok: true, server: String(cluster.fields.server) };
}

interface Entry {
  readonly path: string;
  readonly fields: Fields;
}

function named(config: Fields, list: string, inner: string, faults: string[]): Map<string, Entry> {
  const entries = config[list];
  const found = new Map<string, Entry>();
  if (!Array.isArray(entries) || entries.length === 0) {
    faults.push(`${list} must be a list with at least one entry`);
    return found;
  }
  for (const [index, entry] of entries.entries()) {
    const path = `${list}[${index}]`;
    const fields: unknown = isFields(entry) ? entry[inner] : undefined;
    if (!isFields(entry) || typeof entry.name !== "string" || !isFields(fields)) {
      faults.push(`${path} must have a "name" and a mapping "${inner}"`);
    } else if (found.has(entry.name)) {
      faults.push(`${path}.name is the name of an earlier entry too`);
    } else {
      found.set(entry.name, { path: `${path}.${inner}`, fields });
    }
  }
  return found;
}

function checkFields({ path, fields }: Entry, taken: ReadonlySet<string>, faults: string[]): void {
  for (const key of Object.keys(fields)) {
    if (taken.has(key)) continue;
    const why = Object.hasOwn(REFUSED, key) ? REFUSED[key] : "is not supported; remove it";
    faults.push(`${path}.${key} ${why}`);
  }
}

function checkCluster(entry: Entry, faults: string[]): void {
  checkFields(entry, TAKEN.cluster, faults);
  const { path, fields } = entry;
  if (!isHttps(fields.server)) faults.push(`${path}.server must be an https:// address without user or password`);
  if (fields["insecure-skip-tls-verify"] !== undefined && fields["insecure-skip-tls-verify"] !== false) {
    faults.push(
      `${path}.insecure-skip-tls-verify would send credentials to an unproven server; ` +
        'give "certificate-authority-data" instead',
    );
  }
  checkPem(entry, "certificate-authority-data", faults);
}

function checkUser(entry: Entry, faults: string[]): void {
  checkFields(entry, TAKEN.user, faults);
  for (const key of ["token", "username", "password"]) {
    const value = entry.fields[key];
    // A line break in a header would be refused by every HTTP client, and could smuggle another header past a careless one.
    if (value !== undefined && (typeof value !== "string" || !/^[ -~]+$/.test(value))) {
      faults.push(`${entry.path}.${key} must be a text of printable ASCII characters on one line`);
    }
  }
  checkPem(entry, "client-certificate-data", faults);
  checkPem(entry, "client-key-data", faults);
}

function checkPem({ path, fields }: Entry, key: string, faults: string[]): void {
  const value = fields[key];
  if (value !== undefined && !(typeof value === "string" && holdsPem(value))) {
    faults.push(`${path}.${key} must be a PEM text in base64`);
  }
}

function holdsPem(base64: string): boolean {
  try {
    return atob(base64).includes("-----BEGIN ");
  } catch {
    return false;
  }
}

/** Whether something else than missing credentials is to be repaired first, such as `exec`, which stood for them. */
function hasRefusedFields(user: Fields): boolean {
  return Object.keys(user).some((key) => !TAKEN.user.has(key));
}

function hasCredentials(user: Fields): boolean {
  const has = (key: string) => user[key] !== undefined;
  return (
    has("token") || (has("client-certificate-data") && has("client-key-data")) || (has("username") && has("password"))
  );
}

function isHttps(server: unknown): boolean {
  if (typeof server !== "string" || !URL.canParse(server)) return false;
  const url = new URL(server);
  return (
    url.protocol === "https:" && url.username === "" && url.password === "" && url.search === "" && url.hash === ""
  );
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
