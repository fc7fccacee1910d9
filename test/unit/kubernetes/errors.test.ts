import { describe, expect, test } from "vitest";
import { fromNetwork } from "../../../activities/kubernetes/errors.ts";

const failed = (code: string) => {
  const cause = Object.assign(new Error("low level"), { code });
  return fromNetwork(new Error("request failed", { cause }), "read nodes", "east");
};

describe("a request without an answer", () => {
  test.each([
    "ERR_TLS_CERT_ALTNAME_INVALID",
    "CERT_HAS_EXPIRED",
    "DEPTH_ZERO_SELF_SIGNED_CERT",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  ])("is not tried again when the certificate is refused: %s", (code) => {
    const error = failed(code);
    expect(error).toMatchObject({ retryable: false, outcome: "refused" });
    expect(error.message).toContain(`cluster east: the API server's certificate is not to be trusted (${code})`);
  });

  test.each(["ECONNREFUSED", "ECONNRESET", "ERR_TLS_HANDSHAKE_TIMEOUT"])("may be tried again after %s", (code) => {
    expect(failed(code)).toMatchObject({ type: "ClusterUnreachable", retryable: true });
  });
});
