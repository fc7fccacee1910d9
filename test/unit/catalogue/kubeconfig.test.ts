import { describe, expect, test } from "vitest";
import { checkKubeconfig } from "../../../domain/catalogue/kubeconfig.ts";

const pem = btoa("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n");

function config(change: { cluster?: object; user?: object; top?: object } = {}): Record<string, unknown> {
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      { name: "c", cluster: { server: "https://10.0.0.1:6443", "certificate-authority-data": pem, ...change.cluster } },
    ],
    users: [{ name: "u", user: change.user ?? { token: "s3cret" } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
    ...change.top,
  };
}

describe("kubeconfigs", () => {
  test.each([
    ["a token", { token: "t" }],
    ["a client certificate", { "client-certificate-data": pem, "client-key-data": pem }],
    ["a password", { username: "u", password: "p" }],
  ])("with %s are taken", (_what, user) => {
    expect(checkKubeconfig(config({ user }))).toEqual({ ok: true, server: "https://10.0.0.1:6443" });
  });

  test.each<[string, unknown, string]>([
    ["exec", config({ user: { exec: { command: "sh" } } }), "users[0].user.exec would run a command"],
    [
      "auth-provider",
      config({ user: { "auth-provider": { name: "gcp" } } }),
      "users[0].user.auth-provider would fetch",
    ],
    ["tokenFile", config({ user: { tokenFile: "/t" } }), "users[0].user.tokenFile refers to a file"],
    [
      "client-certificate",
      config({ user: { "client-certificate": "/c" } }),
      "users[0].user.client-certificate refers to a file",
    ],
    ["client-key", config({ user: { "client-key": "/k" } }), "users[0].user.client-key refers to a file"],
    [
      "an unknown user field",
      config({ user: { token: "t", certFile: "/x" } }),
      "users[0].user.certFile is not supported",
    ],
    [
      "a prototype's name",
      config({ user: { token: "t", constructor: 1 } }),
      "users[0].user.constructor is not supported",
    ],
    [
      "a CA file",
      config({ cluster: { "certificate-authority": "/ca" } }),
      "clusters[0].cluster.certificate-authority refers to a file",
    ],
    ["a proxy", config({ cluster: { "proxy-url": "http://p" } }), "clusters[0].cluster.proxy-url"],
    ["no TLS check", config({ cluster: { "insecure-skip-tls-verify": true } }), "insecure-skip-tls-verify"],
    ["http", config({ cluster: { server: "http://10.0.0.1" } }), "clusters[0].cluster.server must be an https"],
    ["a password in the address", config({ cluster: { server: "https://u:p@h" } }), "clusters[0].cluster.server"],
    ["no server", config({ cluster: { server: undefined } }), "clusters[0].cluster.server"],
    [
      "bad CA data",
      config({ cluster: { "certificate-authority-data": "%%" } }),
      "certificate-authority-data must be a PEM",
    ],
    ["no credentials", config({ user: {} }), "users[0].user has no credentials"],
    ["half a certificate", config({ user: { "client-key-data": pem } }), "has no credentials"],
    ["a token with a line break", config({ user: { token: "a\nX: b" } }), "users[0].user.token must be"],
    ["no current context", config({ top: { "current-context": undefined } }), "current-context is missing"],
    ["an unknown context", config({ top: { "current-context": "y" } }), "current-context names no entry"],
    [
      "an unknown cluster",
      config({ top: { contexts: [{ name: "x", context: { cluster: "z", user: "u" } }] } }),
      "contexts[0].context.cluster names no",
    ],
    [
      "an unknown user",
      config({ top: { contexts: [{ name: "x", context: { cluster: "c", user: "z" } }] } }),
      "contexts[0].context.user names no",
    ],
    ["no users", config({ top: { users: [] } }), "users must be a list"],
    [
      "two users of one name",
      config({
        top: {
          users: [
            { name: "u", user: { token: "a" } },
            { name: "u", user: {} },
          ],
        },
      }),
      "users[1].name",
    ],
    ["another kind", config({ top: { kind: "Pod" } }), 'kind must be "Config"'],
    ["nothing", null, "is not a mapping"],
    ["a list", [], "is not a mapping"],
    ["text", "apiVersion", "is not a mapping"],
  ])("with %s are refused", (_what, parsed, fault) => {
    const check = checkKubeconfig(parsed);
    expect(check.ok ? "" : check.faults.join("\n")).toContain(fault);
  });

  test("an unused entry is checked too, and all faults come at once, without values", () => {
    const parsed = config({ cluster: { "proxy-url": "http://hidden" } });
    (parsed["users"] as unknown[]).push({ name: "other", user: { exec: { command: "hidden" } } });
    const check = checkKubeconfig(parsed);
    expect(check.ok).toBe(false);
    const text = check.ok ? "" : check.faults.join("\n");
    expect(text).toContain("proxy-url");
    expect(text).toContain("users[1].user.exec");
    expect(text).not.toContain("hidden");
  });
});
