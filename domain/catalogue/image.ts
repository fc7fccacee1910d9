/** The parts of an image reference. */
interface ImageReference {
  /** Registry host, with its port if one is given; absent when the reference leaves the registry to the runtime. */
  readonly domain?: string;
  readonly path: string;
  readonly tag?: string;
  /** `<algorithm>:<hex>`. */
  readonly digest?: string;
}

export type ImageParse =
  | { readonly ok: true; readonly image: ImageReference }
  | { readonly ok: false; readonly why: string };

const DOMAIN_LABEL = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const DOMAIN = new RegExp(`^(?:${DOMAIN_LABEL}(?:\\.${DOMAIN_LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const PATH_COMPONENT = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
const DIGEST_HEX_LENGTHS: ReadonlyMap<string, number> = new Map([
  ["sha256", 64],
  ["sha384", 96],
  ["sha512", 128],
]);

/**
 * Parses an image reference by the grammar of the OCI distribution project:
 * `[domain[:port]/]path[:tag][@digest]`. What a container runtime would refuse is refused here, before anything moves.
 */
export function parseImage(reference: string): ImageParse {
  const at = reference.indexOf("@");
  const digest = at === -1 ? undefined : reference.slice(at + 1);
  if (digest !== undefined) {
    const why = digestFault(digest);
    if (why !== undefined) return { ok: false, why };
  }
  const named = at === -1 ? reference : reference.slice(0, at);
  const lastSlash = named.lastIndexOf("/");
  const colon = named.indexOf(":", lastSlash + 1);
  // Without a slash, "host:port" and "name:tag" look alike; the grammar reads them as a name and a tag.
  const tag = colon === -1 ? undefined : named.slice(colon + 1);
  if (tag !== undefined && !TAG.test(tag)) {
    return {
      ok: false,
      why: 'its tag must have 1 to 128 letters, digits, "_", "." and "-", not beginning with "." or "-"',
    };
  }
  const name = colon === -1 ? named : named.slice(0, colon);
  const firstSlash = name.indexOf("/");
  const first = name.slice(0, firstSlash === -1 ? 0 : firstSlash);
  const hasDomain = /[.:[A-Z]/.test(first) || first === "localhost";
  if (hasDomain && !DOMAIN.test(first)) return { ok: false, why: "its registry host is malformed" };
  const path = hasDomain ? name.slice(firstSlash + 1) : name;
  if (!path.split("/").every((component) => PATH_COMPONENT.test(component))) {
    return {
      ok: false,
      why:
        'its repository must be lowercase letters and digits, separated by "/", ".", "_", "__" or "-", ' +
        "and neither empty nor beginning or ending with a separator",
    };
  }
  if (name.length > 255) return { ok: false, why: "its name is longer than 255 characters" };
  if (!hasDomain && firstSlash === -1 && /^[a-f0-9]{64}$/.test(path)) {
    return { ok: false, why: "its name looks like a bare image id; write name@sha256:… instead" };
  }
  return {
    ok: true,
    image: {
      path,
      ...(hasDomain ? { domain: first } : {}),
      ...(tag === undefined ? {} : { tag }),
      ...(digest === undefined ? {} : { digest }),
    },
  };
}

function digestFault(digest: string): string | undefined {
  if (!DIGEST.test(digest)) return "its digest must be <algorithm>:<at least 32 hexadecimal digits>";
  const [algorithm = "", hex = ""] = digest.split(":");
  const length = DIGEST_HEX_LENGTHS.get(algorithm);
  if (length !== undefined && !(hex.length === length && /^[0-9a-f]+$/.test(hex))) {
    return `its ${algorithm} digest must have exactly ${length} lowercase hexadecimal digits`;
  }
  return undefined;
}
