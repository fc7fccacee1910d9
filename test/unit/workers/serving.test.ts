import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Registration } from "../../../db/repositories/clusters.ts";
import { createServings } from "../../../workers/serving.ts";

const log = { info() {}, error() {} };
const registration = (name: string, fingerprint = "1") => ({ name, fingerprint }) as Registration;

/** Serves on request, and lets the test decide when a stop is over. */
function servant() {
  const running: string[] = [];
  const stops = new Map<string, () => void>();
  const ends = new Map<string, () => void>();
  const servings = createServings({
    log,
    async serve({ name, fingerprint }) {
      const label = `${name}/${fingerprint}`;
      if (fingerprint === "bad") throw new Error("its kubeconfig cannot be used");
      running.push(label);
      return {
        ended: new Promise((resolve) => ends.set(label, resolve)),
        stop: () =>
          new Promise((resolve) =>
            stops.set(label, () => {
              running.splice(running.indexOf(label), 1);
              resolve();
            }),
          ),
      };
    },
  });
  return { servings, running, stops, ends };
}

test("a registration that ends slowly keeps its own successor waiting, and nobody else", async () => {
  const { servings, running, stops } = servant();
  await servings.adjust([registration("a")]);
  await servings.adjust([registration("a", "2"), registration("b")]);
  expect(running).toEqual(["a/1", "b/1"]);
  await servings.adjust([registration("a", "2"), registration("b")]);
  expect(running).toEqual(["a/1", "b/1"]);
  stops.get("a/1")!();
  await turn();
  await servings.adjust([registration("a", "2"), registration("b")]);
  expect(running).toEqual(["b/1", "a/2"]);
});

test("one that ended by itself is cleaned up before it is served anew", async () => {
  const { servings, running, stops, ends } = servant();
  await servings.adjust([registration("a")]);
  ends.get("a/1")!();
  await turn();
  await servings.adjust([registration("a")]);
  expect(running).toEqual(["a/1"]);
  stops.get("a/1")!();
  await turn();
  expect(running).toEqual([]);
  await servings.adjust([registration("a")]);
  expect(running).toEqual(["a/1"]);
});

test("one that cannot be served is tried again, beside the others; the end waits for every stop", async () => {
  const { servings, running, stops } = servant();
  await servings.adjust([registration("a", "bad"), registration("b")]);
  expect(running).toEqual(["b/1"]);
  await servings.adjust([registration("a"), registration("b")]);
  expect(running).toEqual(["b/1", "a/1"]);
  await servings.adjust([registration("b")]);
  const end = servings.end();
  const first = await Promise.race([end.then(() => "ended"), turn("waits")]);
  expect(first).toBe("waits");
  for (const stop of stops.values()) stop();
  await end;
  expect(running).toEqual([]);
});
