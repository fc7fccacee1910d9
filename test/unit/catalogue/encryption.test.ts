import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { open, readEncryptionKey, seal } from "../../../db/encryption.ts";

const newKey = () => readEncryptionKey(randomBytes(32).toString("base64"));

describe("encryption at rest", () => {
  const key = newKey();

  test("what was sealed opens again", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(open(key, "cluster:a", seal(key, "cluster:a", text))).toBe(text);
      }),
    );
  });

  test("the same text never seals to the same bytes, and does not show in them", () => {
    const one = seal(key, "c", "kubeconfig");
    expect(one.equals(seal(key, "c", "kubeconfig"))).toBe(false);
    expect(one.includes("kubeconfig")).toBe(false);
  });

  test("another key, another context and any changed byte are refused", () => {
    const sealed = seal(key, "cluster:a", "text");
    expect(() => open(newKey(), "cluster:a", sealed)).toThrow(/Sealed by key [0-9a-f]{16}, but the configured key is/);
    expect(() => open(key, "cluster:b", sealed)).toThrow();
    for (let index = 0; index < sealed.length; index++) {
      const changed = Buffer.from(sealed);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(() => open(key, "cluster:a", changed)).toThrow();
    }
    expect(() => open(key, "cluster:a", sealed.subarray(0, 10))).toThrow(/not a sealed text/);
  });

  test.each(["", "short", randomBytes(31).toString("base64"), randomBytes(33).toString("base64"), "!".repeat(44)])(
    "%j is no key",
    (text) => {
      expect(() => readEncryptionKey(text)).toThrow(/32 bytes in base64/);
    },
  );
});
