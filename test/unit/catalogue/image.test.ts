import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseImage } from "../../../domain/catalogue/image.ts";

const sha256 = `sha256:${"0123456789abcdef".repeat(4)}`;

describe("image references", () => {
  test.each([
    ["nginx", { path: "nginx" }],
    ["shop/cart:1.0.0", { path: "shop/cart", tag: "1.0.0" }],
    ["localhost/cart", { domain: "localhost", path: "cart" }],
    [
      "registry.example.com:5000/a/b_c/d__e-f.g:V1",
      { domain: "registry.example.com:5000", path: "a/b_c/d__e-f.g", tag: "V1" },
    ],
    ["[2001:db8::1]:5000/cart", { domain: "[2001:db8::1]:5000", path: "cart" }],
    ["UPPER/cart", { domain: "UPPER", path: "cart" }],
    [`cart@${sha256}`, { path: "cart", digest: sha256 }],
    [`shop/cart:1@${sha256}`, { path: "shop/cart", tag: "1", digest: sha256 }],
    ["host:5000", { path: "host", tag: "5000" }],
    ["a--b", { path: "a--b" }],
  ])("%s is taken", (reference, image) => {
    expect(parseImage(reference)).toEqual({ ok: true, image });
  });

  test.each([
    ["", /repository/],
    ["Cart", /repository/],
    ["shop/Cart:1", /repository/],
    ["shop//cart", /repository/],
    ["/cart", /repository/],
    ["cart/", /repository/],
    ["a___b", /repository/],
    ["a..b", /repository/],
    ["-a", /repository/],
    ["a_", /repository/],
    ["https://example.com/cart", /registry host/],
    ["-x.example.com/cart", /registry host/],
    ["example.com:port/cart", /registry host/],
    ["cart:", /tag/],
    ["cart:-x", /tag/],
    [`cart:${"t".repeat(129)}`, /tag/],
    ["cart:a b", /tag/],
    ["cart@", /digest/],
    ["cart@sha256", /digest/],
    ["cart@sha256:abc", /digest/],
    [`cart@sha256:${"a".repeat(63)}`, /sha256 digest must have exactly 64/],
    [`cart@${sha256.toUpperCase().replace("SHA", "sha")}`, /lowercase/],
    [`${"a/".repeat(128)}b`, /longer than 255/],
    ["a".repeat(64), /bare image id/],
    ["cart 1", /repository/],
    ["cart\n", /repository/],
  ])("%j is refused", (reference, why) => {
    expect(parseImage(reference)).toEqual({ ok: false, why: expect.stringMatching(why) });
  });

  test("what was taken apart, put together again, is the reference", () => {
    const label = fc.stringMatching(/^[a-z0-9]{1,8}$/);
    const domain = fc.tuple(label, label).map(([one, other]) => `${one}.${other}`);
    const path = fc.array(label, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
    const tag = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/);
    fc.assert(
      fc.property(fc.option(domain), path, fc.option(tag), fc.boolean(), (host, name, version, digested) => {
        fc.pre(host !== null || name !== "localhost");
        const reference =
          (host === null ? "" : `${host}/`) +
          name +
          (version === null ? "" : `:${version}`) +
          (digested ? `@${sha256}` : "");
        const parsed = parseImage(reference);
        expect(parsed.ok).toBe(true);
        if (!parsed.ok) return;
        const { image } = parsed;
        expect(
          [image.domain, image.path].filter((part) => part !== undefined).join("/") +
            (image.tag === undefined ? "" : `:${image.tag}`) +
            (image.digest === undefined ? "" : `@${image.digest}`),
        ).toBe(reference);
      }),
    );
  });

  test("no text makes it throw", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => typeof parseImage(text).ok === "boolean"));
  });
});
