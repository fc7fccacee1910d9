import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exportJWK, exportSPKI, generateKeyPair, importJWK, SignJWT, type CryptoKey, type JWK } from "jose";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { tokenVerifier } from "../../../api/access/issuers.ts";
import { assertSecure, fileKeys } from "../../../api/access/keys.ts";
import type { VerifyToken } from "../../../api/identity.ts";
import { readApiConfig } from "../../../workers/config.ts";
import { startTokenIssuer, type TokenIssuer } from "../../support/token-issuer.ts";

const AUDIENCE = "cellwright-test";
const COOLDOWN = 60;
const MAX_AGE = 400;
const RESPITE = 50;

let issuer: TokenIssuer;
let kid: string;
let verify: VerifyToken;
const nobody = { subjects: [], groups: [] };
const settings = (more: object = {}) => ({
  oidc: { issuer: issuer.url, audience: AUDIENCE, groupsClaim: "groups", prefix: "oidc:", ...more },
  administrators: nobody,
});
const bounds = { timeout: 300, cooldown: COOLDOWN, maxAge: MAX_AGE, respite: RESPITE };

beforeEach(async () => {
  issuer = await startTokenIssuer(AUDIENCE);
  kid = await issuer.addKey();
  verify = tokenVerifier(settings(), bounds);
});
afterEach(() => issuer.stop());

describe("an OpenID Connect issuer", () => {
  test("is believed: subject and groups, with its prefix, and no roles", async () => {
    const exp = Math.floor(Date.now() / 1000) + 100;
    const claims = { sub: "alice", groups: ["ops", "dev", 7, ""], roles: ["admin"], exp };
    expect(await verify(await issuer.token(kid, claims))).toEqual({
      kind: "accepted",
      identity: {
        subject: "oidc:alice",
        groups: ["oidc:ops", "oidc:dev"],
        roles: [],
        expiresAt: new Date(exp * 1000),
      },
    });
    expect(await verify(await issuer.token(kid, { groups: "ops" }))).toMatchObject({
      identity: { groups: ["oidc:ops"] },
    });
    // Discovery and keys, once.
    expect(issuer.asked).toEqual(["/.well-known/openid-configuration", "/keys"]);
  });

  test("with RSA keys, another claim of groups, no prefix and the address of its keys given", async () => {
    const more = { prefix: "", groupsClaim: "team", jwksUrl: `${issuer.url}/keys` };
    const check = await tokenVerifier(
      settings(more),
      bounds,
    )(await issuer.token(await issuer.addKey("RS256"), { team: ["ops"], groups: ["no"] }));
    expect(check).toMatchObject({ kind: "accepted", identity: { subject: "alice", groups: ["ops"] } });
    expect(issuer.asked).toEqual(["/keys"]);
  });

  test("makes administrators only of whom the settings name, with prefix", async () => {
    const admins = tokenVerifier({ ...settings(), administrators: { subjects: ["oidc:alice"], groups: ["oidc:ops"] } });
    const rolesOf = async (claims: Record<string, unknown>) => {
      const check = await admins(await issuer.token(kid, claims));
      return check.kind === "accepted" ? check.identity.roles : check.kind;
    };
    expect(await rolesOf({})).toEqual(["admin"]);
    expect(await rolesOf({ sub: "bob", groups: ["ops"] })).toEqual(["admin"]);
    expect(await rolesOf({ sub: "bob", groups: ["alice"] })).toEqual([]);
  });

  test("tokens that are not good are refused, and it is said why", async () => {
    const now = Math.floor(Date.now() / 1000);
    const stranger = await generateKeyPair("ES256");
    const foreign = () => new SignJWT({ iss: issuer.url, aud: AUDIENCE, sub: "alice", exp: now + 600 });
    const publicKey = (await importJWK(issuer.publicKey(kid), "ES256", { extractable: true })) as CryptoKey;
    const pem = new TextEncoder().encode(await exportSPKI(publicKey));
    const plain = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = plain({ iss: issuer.url, aud: AUDIENCE, sub: "alice", exp: now + 600 });
    const bad: [string, string, RegExp][] = [
      ["another audience", await issuer.token(kid, { aud: "other" }), /"aud"/],
      ["no audience", await issuer.token(kid, { aud: undefined }), /"aud"/],
      ["another issuer", await issuer.token(kid, { iss: "https://elsewhere.invalid" }), /"iss" names no issuer/],
      ["no issuer", await issuer.token(kid, { iss: undefined }), /"iss" names no issuer/],
      ["expired", await issuer.token(kid, { exp: now - 60 }), /expired/],
      ["without expiry", await issuer.token(kid, { exp: undefined }), /"exp"/],
      ["not yet valid", await issuer.token(kid, { nbf: now + 600 }), /"nbf"/],
      ["no subject", await issuer.token(kid, { sub: "" }), /subject/],
      ["a subject that cannot be recorded", await issuer.token(kid, { sub: "a\nb" }), /subject/],
      ["a subject that is too long", await issuer.token(kid, { sub: "x".repeat(255) }), /subject/],
      ["an unknown key", await issuer.token(kid, {}, { kid: "other" }), /not signed by a known key/],
      [
        "a stranger's key under a known name",
        await foreign().setProtectedHeader({ alg: "ES256", kid }).sign(stranger.privateKey),
        /not signed by a known key/,
      ],
      [
        "symmetric, signed with the public key",
        await foreign().setProtectedHeader({ alg: "HS256", kid }).sign(pem),
        /not signed by a known key/,
      ],
      ["unsigned", `${plain({ alg: "none", kid })}.${claims}.`, /malformed/],
      ["no token", "abc", /malformed/],
    ];
    for (const [what, token, why] of bad) {
      expect([what, await verify(token)]).toEqual([what, { kind: "rejected", why: expect.stringMatching(why) }]);
    }
  });
});

describe("rotation of its keys", () => {
  test("a new key is good at once after the cooldown, a withdrawn one until the others are read anew", async () => {
    const old = await issuer.token(kid);
    expect((await verify(old)).kind).toBe("accepted");
    const next = await issuer.addKey();
    await sleep(COOLDOWN + 20);
    expect((await verify(await issuer.token(next))).kind).toBe("accepted");
    expect((await verify(old)).kind).toBe("accepted");
    issuer.withdraw(kid);
    await sleep(MAX_AGE + 50);
    expect((await verify(await issuer.token(next))).kind).toBe("accepted");
    expect(await verify(old)).toMatchObject({ kind: "rejected", why: expect.stringMatching(/known key/) });
  });

  test("unknown keys cannot make the issuer be asked more than once in a cooldown", async () => {
    const patient = tokenVerifier(settings(), { ...bounds, cooldown: 60_000, maxAge: 60_000 });
    expect((await patient(await issuer.token(kid))).kind).toBe("accepted");
    const made_up = await issuer.token(kid, {}, { kid: "made-up" });
    await Promise.all(Array.from({ length: 20 }, () => patient(made_up)));
    expect(issuer.asked.filter((path) => path === "/keys")).toHaveLength(1);
  });
});

describe("when its keys cannot be had, nobody says that the token is bad", () => {
  test.each<["hang" | "error" | "other-issuer" | "not-json" | "redirect", RegExp]>([
    ["hang", /no answer in time/],
    ["error", /answered 500/],
    ["other-issuer", /describes another issuer/],
    ["not-json", /cannot be read/],
    ["redirect", /cannot be read/],
  ])("%s", async (trouble, why) => {
    issuer.trouble = trouble;
    const token = await issuer.token(kid);
    const begin = Date.now();
    expect(await verify(token)).toEqual({ kind: "unavailable", why: expect.stringMatching(why) });
    expect(Date.now() - begin).toBeLessThan(2_000);
    issuer.trouble = undefined;
    await sleep(RESPITE + 20);
    expect((await verify(token)).kind).toBe("accepted");
  });

  test.each<["hang" | "error" | "not-json" | "no-keys", "discovered" | "given"]>([
    ["hang", "discovered"],
    ["hang", "given"],
    ["error", "discovered"],
    ["error", "given"],
    ["not-json", "given"],
    ["no-keys", "given"],
  ])("%s: the issuer is left alone for a while, and nobody waits; keys %s", async (trouble, how) => {
    issuer.trouble = trouble;
    const more = how === "given" ? { jwksUrl: `${issuer.url}/keys` } : {};
    const check = tokenVerifier(settings(more), { ...bounds, respite: 500 });
    const token = await issuer.token(kid);
    const first = await check(token);
    expect(first.kind).toBe("unavailable");
    const begin = performance.now();
    issuer.trouble = undefined;
    for (let request = 0; request < 20; request += 1) expect(await check(token)).toEqual(first);
    expect(performance.now() - begin).toBeLessThan(200);
    expect(issuer.asked).toHaveLength(1);
    await sleep(520);
    expect((await check(token)).kind).toBe("accepted");
  });

  test("a key that the issuer cannot be asked for takes nothing from those that are known", async () => {
    const check = tokenVerifier(settings(), { ...bounds, cooldown: 0, maxAge: 60_000, respite: 60_000 });
    const good = await issuer.token(kid);
    const unknown = await issuer.token(kid, {}, { kid: "made-up" });
    expect((await check(good)).kind).toBe("accepted");
    issuer.trouble = "hang";
    expect((await check(unknown)).kind).toBe("unavailable");
    expect((await check(good)).kind).toBe("accepted");
    expect((await check(unknown)).kind).toBe("unavailable");
    expect(issuer.asked.filter((path) => path === "/keys")).toHaveLength(2);
  });

  test("not listening, first and later; keys that were read stay good until they are old", async () => {
    const token = await issuer.token(kid);
    await issuer.stop();
    expect(await verify(token)).toMatchObject({ kind: "unavailable", why: expect.stringContaining("ECONNREFUSED") });
    await issuer.start();
    await sleep(RESPITE + 20);
    expect((await verify(token)).kind).toBe("accepted");
    await issuer.stop();
    expect((await verify(token)).kind).toBe("accepted");
    await sleep(MAX_AGE + 50);
    expect((await verify(token)).kind).toBe("unavailable");
    await issuer.start();
    await sleep(RESPITE + 20);
    expect((await verify(token)).kind).toBe("accepted");
  });

  test("keys are fetched only where nobody can exchange them on their way", () => {
    for (const good of [
      "https://id.example/keys",
      "http://127.0.0.1:1/keys",
      "http://localhost/keys",
      "http://[::1]/",
    ]) {
      expect(() => assertSecure(good, "jwks_uri")).not.toThrow();
    }
    for (const bad of ["http://id.example/keys", "file:///etc/passwd", "http://127.0.0.1.example/", "keys"]) {
      expect(() => assertSecure(bad, "jwks_uri")).toThrow(/an https URL is needed/);
    }
  });
});

describe("a file of keys", () => {
  let directory: string;
  const pairs: { secret: CryptoKey; jwk: JWK }[] = [];
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "cellwright-keys-"));
    for (const name of ["one", "two"]) {
      const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
      pairs.push({ secret: privateKey, jwk: { ...(await exportJWK(publicKey)), kid: name, alg: "ES256" } });
    }
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  let changes = 0;
  const write = (file: string, keys: object[]) => {
    writeFileSync(file, JSON.stringify({ keys }));
    // Also on file systems with coarse times.
    changes += 1;
    utimesSync(file, changes, changes);
  };
  const token = (index: number, claims: object = {}) =>
    new SignJWT({ iss: "https://local", aud: AUDIENCE, sub: "me", roles: ["admin", "operator"], ...claims })
      .setExpirationTime("1h")
      .setProtectedHeader({ alg: "ES256", kid: pairs[index]?.jwk.kid ?? "" })
      .sign(pairs[index]?.secret as CryptoKey);
  const jwk = (index: number, more: object = {}) => ({ ...pairs[index]?.jwk, ...more });

  test("is read again when it changes, and its keys end at their time", { timeout: 20_000 }, async () => {
    const file = join(directory, "jwks.json");
    write(file, [jwk(0)]);
    const local = { issuer: "https://local", audience: AUDIENCE, jwksFile: file };
    const both = tokenVerifier({ ...settings(), local }, bounds);
    expect(await both(await token(0))).toMatchObject({ identity: { subject: "me", roles: ["admin"] } });
    // Beside the other issuer: each with its own keys, names and powers.
    expect(await both(await issuer.token(kid, { sub: "me" }))).toMatchObject({
      identity: { subject: "oidc:me", roles: [] },
    });
    expect((await both(await token(0, { iss: issuer.url }))).kind).toBe("rejected");
    expect((await both(await issuer.token(kid, { iss: "https://local" }))).kind).toBe("rejected");

    expect((await both(await token(1))).kind).toBe("rejected");
    const ends = Math.floor(Date.now() / 1000) + 3;
    write(file, [jwk(1), jwk(0, { exp: ends })]);
    await sleep(1_050);
    expect((await both(await token(1))).kind).toBe("accepted");
    expect((await both(await token(0))).kind).toBe("accepted");
    await sleep(ends * 1000 - Date.now() + 20);
    expect((await both(await token(0))).kind).toBe("rejected");
    writeFileSync(file, "{");
    await sleep(1_050);
    // What was good stays good while the file is damaged.
    expect((await both(await token(1))).kind).toBe("accepted");
    expect((await both(await token(0))).kind).toBe("rejected");
  });

  test("that is missing or no key set is said at the start", () => {
    expect(() => fileKeys(join(directory, "none.json"))).toThrow(/ENOENT/);
    write(join(directory, "odd.json"), []);
    writeFileSync(join(directory, "odd.json"), "{}");
    expect(() => fileKeys(join(directory, "odd.json"))).toThrow(/is no JWK Set/);
  });
});

describe("settings", () => {
  const common = {
    DATABASE_URL: "postgres://x",
    TEMPORAL_ADDRESS: "x:1",
    CELLWRIGHT_ENCRYPTION_KEY: Buffer.alloc(32, 1).toString("base64"),
  };
  const local = { CELLWRIGHT_ISSUER: "https://l", CELLWRIGHT_AUDIENCE: "a", CELLWRIGHT_JWKS_FILE: "/keys" };
  const oidc = { CELLWRIGHT_OIDC_ISSUER: "https://id.example", CELLWRIGHT_OIDC_AUDIENCE: "a" };

  test("one issuer or both", () => {
    expect(readApiConfig({ ...common, ...local }).tokens).toEqual({
      local: { issuer: "https://l", audience: "a", jwksFile: "/keys" },
      oidc: undefined,
      administrators: nobody,
    });
    const admins = "alice, group:ops,oidc:bob";
    expect(readApiConfig({ ...common, ...oidc, CELLWRIGHT_ADMINS: admins }).tokens).toEqual({
      local: undefined,
      oidc: { issuer: "https://id.example", audience: "a", jwksUrl: undefined, groupsClaim: "groups", prefix: "oidc:" },
      administrators: { subjects: ["alice", "oidc:bob"], groups: ["ops"] },
    });
    const both = readApiConfig({ ...common, ...local, ...oidc, CELLWRIGHT_OIDC_PREFIX: "" }).tokens;
    expect([both.local?.issuer, both.oidc?.prefix]).toEqual(["https://l", ""]);
  });

  test.each<[object, RegExp]>([
    [{}, /CELLWRIGHT_ISSUER is not set/],
    [{ ...oidc, CELLWRIGHT_OIDC_AUDIENCE: "" }, /CELLWRIGHT_OIDC_AUDIENCE is not set/],
    [{ ...oidc, CELLWRIGHT_OIDC_ISSUER: "http://id.example" }, /CELLWRIGHT_OIDC_ISSUER is "http:.*https URL/],
    [{ ...oidc, CELLWRIGHT_OIDC_JWKS_URL: "http://id.example" }, /CELLWRIGHT_OIDC_JWKS_URL/],
    [{ ...oidc, CELLWRIGHT_OIDC_PREFIX: "a b" }, /CELLWRIGHT_OIDC_PREFIX must be/],
    [{ ...local, ...oidc, CELLWRIGHT_ISSUER: "https://id.example" }, /is the same as CELLWRIGHT_ISSUER/],
  ])("%o is refused", (env, message) => {
    expect(() => readApiConfig({ ...common, ...env })).toThrow(message);
  });
});
