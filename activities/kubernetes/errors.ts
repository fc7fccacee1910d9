/** Translates what the API server or the network said into the failure taxonomy. */
import { CellwrightFailure, type FailureType } from "../../domain/failures.ts";

/** The fields of a Kubernetes `Status` that are worth reading. */
type StatusBody = {
  message?: string;
  reason?: string;
  details?: { retryAfterSeconds?: number; causes?: { reason?: string; message?: string }[] };
};

/**
 * A request that did not succeed. `outcome` matters for writes: `refused` means that it certainly had no effect and
 * never will; `unknown` means that it may have had, or may still have, its effect.
 */
export class ClusterError extends CellwrightFailure {
  readonly outcome: "refused" | "unknown";
  /** HTTP status; undefined when there was no answer. */
  readonly status: number | undefined;
  /** Kubernetes' reason, such as `AlreadyExists`, `Expired`. */
  readonly reason: string | undefined;
  /** What a disruption budget said that refused an eviction; undefined for any other error. */
  readonly budget: string | undefined;

  constructor(
    type: FailureType,
    message: string,
    details: { outcome: "refused" | "unknown"; status?: number; reason?: string; delayMs?: number; budget?: string },
  ) {
    super(type, message, details.delayMs === undefined ? {} : { delayMs: details.delayMs });
    this.outcome = details.outcome;
    this.status = details.status;
    this.reason = details.reason;
    this.budget = details.budget;
  }
}

/** True for an answer with this HTTP status. */
export function hasStatus(error: unknown, ...statuses: number[]): boolean {
  return error instanceof ClusterError && error.status !== undefined && statuses.includes(error.status);
}

/** `what`: the request in words ("patch pod shop/cart-cell-a-0"), `where`: the cluster's name. */
export function fromStatus(
  status: number,
  body: string,
  headers: Record<string, string | string[] | undefined>,
  what: string,
  where: string,
): ClusterError {
  const parsed = parseStatus(body);
  const said = firstLine(parsed.message ?? "");
  const text = (advice: string) => `${what} in cluster ${where}: ${advice}${said === "" ? "" : `: ${said}`}`;
  const details = {
    status,
    outcome: "refused" as const,
    ...(parsed.reason === undefined ? {} : { reason: parsed.reason }),
  };
  switch (status) {
    case 401:
      return new ClusterError(
        "ClusterForbidden",
        text("our identity is not accepted (401); renew the kubeconfig"),
        details,
      );
    case 403:
      return new ClusterError("ClusterForbidden", text("forbidden (403)"), details);
    case 404:
      return new ClusterError("NotFound", text("not found"), details);
    case 409:
      return new ClusterError("Conflict", text("somebody else changed it first (409)"), details);
    case 410:
      return new ClusterError("Conflict", text("too old (410)"), details);
    case 429: {
      const seconds = parsed.details?.retryAfterSeconds ?? (Number(headers["retry-after"]) || 1);
      const cause = parsed.details?.causes?.find((one) => one.reason === "DisruptionBudget");
      return new ClusterError("ClusterBusy", text(`busy (429), again in ${seconds} s`), {
        ...details,
        delayMs: seconds * 1000,
        ...(cause !== undefined && { budget: firstLine(cause.message ?? parsed.message ?? "") }),
      });
    }
  }
  if (status >= 500 && said.includes(SEVERAL_BUDGETS)) {
    return new ClusterError("ClusterBusy", text("no eviction is possible"), { ...details, budget: said });
  }
  if (status >= 500) {
    // The API server may have stored it before something went wrong (a timeout of etcd is a 500 or 504).
    return new ClusterError("ClusterUnreachable", text(`the API server failed (${status})`), {
      ...details,
      outcome: "unknown",
    });
  }
  return new ClusterError("Invalid", text(`refused (${status})`), details);
}

/** The API server evicts no pod that several budgets select, and says so with a status of 500. */
const SEVERAL_BUDGETS = "more than one PodDisruptionBudget";

/** Network errors, timeouts and broken answers. */
export function fromNetwork(error: unknown, what: string, where: string): ClusterError {
  const code = codeOf(error);
  if (isDistrust(code)) {
    // Found while the connection is made, so nothing has been sent. Another try finds the same certificate.
    const advice = "register the cluster anew with the certificate-authority-data of its API server";
    const text = `${what} in cluster ${where}: the API server's certificate is not to be trusted (${code}); ${advice}`;
    return new ClusterError("Invalid", text, { outcome: "refused" });
  }
  const text = `${what} in cluster ${where}: the API server does not answer (${code})`;
  return new ClusterError("ClusterUnreachable", text, { outcome: NEVER_SENT.has(code) ? "refused" : "unknown" });
}

/** These happen before a connection stands, so nothing has been sent. */
const NEVER_SENT = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);

/** Node's codes for certificates that do not hold against the kubeconfig's authorities. */
const DISTRUST = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
]);

function isDistrust(code: string): boolean {
  // A handshake that takes too long says nothing about the certificate.
  return DISTRUST.has(code) || code.startsWith("CERT_") || (code.startsWith("ERR_TLS_") && !code.endsWith("_TIMEOUT"));
}

function codeOf(error: unknown): string {
  for (let inner: unknown = error, depth = 0; inner instanceof Error && depth < 5; inner = inner.cause, depth++) {
    if (inner.name === "TimeoutError" || inner.name === "AbortError") return "timeout";
    if ("code" in inner && typeof inner.code === "string") return inner.code;
    if (inner instanceof AggregateError && inner.errors.length > 0) return codeOf(inner.errors[0]);
  }
  return "connection failed";
}

function parseStatus(body: string): StatusBody {
  try {
    const parsed: unknown = JSON.parse(body);
    return parsed !== null && typeof parsed === "object" ? parsed : {};
  } catch {
    return {};
  }
}

/** Only the first line: the further ones of some refusals print whole objects, values of variables among them. */
function firstLine(message: string): string {
  return (message.split("\n")[0] ?? "").slice(0, 300);
}
