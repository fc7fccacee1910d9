import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { Connection } from "@temporalio/client";
import pg from "pg";
import { describe, expect, inject, test } from "vitest";
import { parse } from "yaml";

const stack = inject("stack");

async function kubectl(kubeconfig: string, ...args: string[]): Promise<string> {
  return (await promisify(execFile)(stack.tools.kubectl, ["--kubeconfig", kubeconfig, ...args])).stdout;
}

describe("the local stack", () => {
  test("has a database of its own", async () => {
    const client = new pg.Client({ connectionString: stack.databaseUrl });
    await client.connect();
    const { rows } = await client.query<{ name: string }>("SELECT current_database() AS name");
    await client.end();
    expect(rows[0]?.name).toBe("cellwright");
  });

  test("has the namespace that temporal-dev.yml describes", async () => {
    const { address, namespace } = stack.temporal;
    const connection = await Connection.connect({ address });
    const { config } = await connection.workflowService.describeNamespace({ namespace });
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    await connection.close();
    expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(72 * 3600);
    expect(Object.keys(customAttributes ?? {})).toEqual(
      expect.arrayContaining(["CellwrightKind", "CellwrightOrderId", "CellwrightApps"]),
    );
  });

  test("has simulated nodes in two cells", async () => {
    const { items } = JSON.parse(
      await kubectl(stack.kubernetes.kubeconfigs.admin, "get", "nodes", "-l", "cell in (cell-a,cell-b)", "-o", "json"),
    ) as {
      items: { metadata: { name: string; labels: { cell: string } } }[];
    };
    expect(items.map(({ metadata }) => [metadata.name, metadata.labels.cell])).toEqual([
      ["node-a-1", "cell-a"],
      ["node-a-2", "cell-a"],
      ["node-b-1", "cell-b"],
      ["node-b-2", "cell-b"],
    ]);
  });

  test("gives Cellwright's identity its own rights and no others", async () => {
    const { cellwright } = stack.kubernetes.kubeconfigs;
    const mayI = (...what: string[]): Promise<string> =>
      kubectl(cellwright, "auth", "can-i", "-A", ...what).then(
        (answer) => answer.trim(),
        () => "no",
      );
    const answers = (questions: string[]): Promise<[string, string][]> =>
      Promise.all(questions.map(async (question) => [question, await mayI(...question.split(" "))]));
    const granted = ["patch pods", "create pods --subresource=eviction", "create statefulsets.apps", "list events"];
    const denied = [
      "delete pods",
      "get secrets",
      "watch services",
      "list namespaces",
      "create namespaces",
      "get nodes",
      "patch nodes",
      "list controllerrevisions.apps",
    ];
    expect(await answers(granted)).toEqual(granted.map((question) => [question, "yes"]));
    expect(await answers(denied)).toEqual(denied.map((question) => [question, "no"]));
  });

  test("writes kubeconfigs that hold all they need", () => {
    const text = readFileSync(stack.kubernetes.kubeconfigs.cellwright, "utf8");
    const { clusters, users } = parse(text) as { clusters: { cluster: object }[]; users: { user: object }[] };
    expect(Object.keys(clusters[0]?.cluster ?? {})).toEqual(["server", "certificate-authority-data"]);
    expect(Object.keys(users[0]?.user ?? {})).toEqual(["token"]);
  });
});
