/**
 * Workflow code replays what workflows have done: the histories that are made here, and those that earlier code has
 * left in test/histories. `npm run histories` adds what is missing there of the former.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { projectRoot } from "../../local/paths.ts";
import { playScenario, SCENARIOS, SECRET } from "../support/history-scenarios.ts";
import { startProduct, type Product } from "../support/product.ts";
import { readHistories, replay, type HistoryJson, type StoredHistory } from "../support/replay.ts";

const DIRECTORY = join(projectRoot, "test", "histories");
const { workflowBundle } = inject("stack");

/** Every text that a history carries: payloads hold JSON in base64. */
function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  const { data, metadata } = value as { data?: unknown; metadata?: unknown };
  if (typeof data === "string" && metadata !== undefined) return [Buffer.from(data, "base64").toString()];
  return Object.values(value).flatMap(textsOf);
}

/** What none may hold: values of environment variables, credentials, how to reach a server, places on a disk. */
function expectDiscreet(histories: readonly StoredHistory[]): void {
  const forbidden = new RegExp(
    [
      SECRET,
      "LEVEL",
      "kubeconfig",
      "BEGIN [A-Z ]*PRIVATE KEY",
      "eyJ[A-Za-z0-9_-]{20}",
      "postgres(ql)?://",
      "node_modules/",
      "file://",
    ].join("|"),
  );
  for (const { name, json } of histories) {
    expect({ name, texts: textsOf(json).filter((text) => forbidden.test(text)) }).toEqual({ name, texts: [] });
  }
}

/** Kinds of life that a set of histories has to tell of. */
function expectRepresentative(histories: readonly StoredHistory[]): void {
  const names = new Set(histories.map(({ name }) => name));
  for (const kind of Object.keys(SCENARIOS)) expect(names).toContain(`${kind}.order.1.json`);
  for (const file of ["confirmed.app.1.json", "continued.order.2.json", "continued.app.2.json"]) {
    expect(names).toContain(file);
  }
}

describe("histories made by today's code", () => {
  let products: Product[];
  let made: StoredHistory[];
  beforeAll(async () => {
    products = await Promise.all([
      startProduct({ name: "lives" }),
      startProduct({ name: "continued", env: { CELLWRIGHT_HISTORY_LIMIT: "50" } }),
    ]);
    const [plain, short] = products;
    const played = await Promise.all([
      ...Object.keys(SCENARIOS).map((kind) => playScenario(plain!, kind)),
      playScenario(short!, "paused", "continued"),
    ]);
    made = played.flat();
    if (process.env["CELLWRIGHT_KEEP_HISTORIES"] === "1") keep(made);
  }, 240_000);
  afterAll(async () => {
    await Promise.all(products.map((product) => product.stop()));
  });

  test("tell of every kind of life, and of no values or secrets", () => {
    expectRepresentative(made);
    expectDiscreet(made);
  });

  test("replay", async () => {
    expect(await replay(made, workflowBundle)).toEqual([]);
  });
});

describe("committed histories", () => {
  let committed: StoredHistory[];
  beforeAll(() => {
    committed = readHistories(DIRECTORY);
  });

  test("tell of every kind of life, and of no values or secrets", () => {
    expectRepresentative(committed);
    expectDiscreet(committed);
  });

  test("replay with today's code", async () => {
    expect(await replay(committed, workflowBundle)).toEqual([]);
  });

  const app = (): HistoryJson => {
    const found = committed.find(({ name }) => name === "confirmed.app.1.json");
    return structuredClone(found!.json);
  };
  const scheduled = (json: HistoryJson, operation: string) =>
    json.events
      .map((event) => event["activityTaskScheduledEventAttributes"] as { activityType: { name: string } } | undefined)
      .filter((attributes) => attributes?.activityType.name === operation);

  test("one with another activity in it does not replay", async () => {
    const json = app();
    scheduled(json, "movePods")[0]!.activityType.name = "movePod";
    const [divergence] = await replay([{ name: "tampered", json }], workflowBundle);
    expect(divergence?.error.name).toBe("DeterminismViolationError");
  });

  test("one in which two steps have changed places does not replay", async () => {
    const json = app();
    const [first] = scheduled(json, "applyWorkload");
    const [second] = scheduled(json, "movePods");
    [first!.activityType, second!.activityType] = [second!.activityType, first!.activityType];
    const [divergence] = await replay([{ name: "tampered", json }], workflowBundle);
    expect(divergence?.error.name).toBe("DeterminismViolationError");
  });
});

/** Adds those of kinds of life that are not there yet. What earlier code has left stays: it is what guards compatibility. */
function keep(histories: readonly StoredHistory[]): void {
  const kindOf = (name: string): string => name.split(".")[0] ?? name;
  const known = new Set(readHistories(DIRECTORY).map(({ name }) => kindOf(name)));
  for (const { name, json } of histories) {
    if (!known.has(kindOf(name))) writeFileSync(join(DIRECTORY, name), `${JSON.stringify(json)}\n`);
  }
}
