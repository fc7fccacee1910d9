/** An OpenID Connect issuer of the tests' own: a real server with real keys, which it can exchange, withdraw and hide. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from "jose";

export interface TokenIssuer {
  readonly url: string;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  /** What it answers instead of what it should; undefined: what it should. `hang`: nothing at all. */
  trouble: "hang" | "error" | "other-issuer" | "not-json" | "no-keys" | "redirect" | undefined;
  /** Makes a key and publishes it; answers its id. */
  addKey(alg?: "ES256" | "RS256"): Promise<string>;
  /** Publishes a key no longer; it can still sign. */
  withdraw(kid: string): void;
  /** A token, good unless the claims and the header say otherwise. A claim that is undefined is left out. */
  token(kid: string, claims?: Record<string, unknown>, header?: { kid?: string }): Promise<string>;
  publicKey(kid: string): JWK;
  stop(): Promise<void>;
  /** Listens again, at the same address. */
  start(): Promise<void>;
}

export async function startTokenIssuer(audience: string): Promise<TokenIssuer> {
  const keys = new Map<string, { alg: string; secret: CryptoKey; jwk: JWK; published: boolean }>();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    const json = (body: unknown) => response.setHeader("content-type", "application/json").end(JSON.stringify(body));
    switch (issuer.trouble) {
      case "hang":
        return;
      case "error":
        return response.writeHead(500).end();
      case "not-json":
        return response.end("<html>");
      case "no-keys":
        return response.end("{}");
      case "redirect":
        return response.writeHead(302, { location: "https://elsewhere.invalid/" }).end();
      case "other-issuer":
      case undefined:
        break;
    }
    if (request.url === "/.well-known/openid-configuration") {
      const named = issuer.trouble === "other-issuer" ? "https://elsewhere.invalid" : issuer.url;
      return json({ issuer: named, jwks_uri: `${issuer.url}/keys` });
    }
    if (request.url === "/keys") {
      return json({ keys: [...keys.values()].filter(({ published }) => published).map(({ jwk }) => jwk) });
    }
    return response.writeHead(404).end();
  });
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const keyOf = (kid: string) => {
    const key = keys.get(kid);
    if (key === undefined) throw new Error(`The issuer has no key ${kid}`);
    return key;
  };

  const issuer: TokenIssuer = {
    url: `http://127.0.0.1:${port}`,
    asked,
    trouble: undefined,
    async addKey(alg = "ES256") {
      const kid = `key-${keys.size + 1}`;
      const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
      const jwk = { ...(await exportJWK(publicKey)), kid, alg, use: "sig" };
      keys.set(kid, { alg, secret: privateKey, jwk, published: true });
      return kid;
    },
    withdraw(kid) {
      keyOf(kid).published = false;
    },
    token(kid, claims = {}, header = {}) {
      const { alg, secret } = keyOf(kid);
      const now = Math.floor(Date.now() / 1000);
      const good = { iss: issuer.url, aud: audience, sub: "alice", iat: now, exp: now + 600 };
      return new SignJWT({ ...good, ...claims }).setProtectedHeader({ alg, kid, ...header }).sign(secret);
    },
    publicKey: (kid) => keyOf(kid).jwk,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
    start: () => listen(port),
  };
  return issuer;
}
