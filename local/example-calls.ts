import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";

/** A document under `examples/`: one call of the API. */
export type Call = { put: string; body: unknown } | { post: string; body: unknown };

/** Reads all documents of a folder, file by file; `${NAME}` as a whole value is replaced. */
export function readCalls(folder: string, values: Readonly<Record<string, string>>): Call[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".yaml"))
    .toSorted()
    .flatMap((file) => parseAllDocuments(readFileSync(join(folder, file), "utf8")))
    .map(
      (document) =>
        document.toJS({
          reviver: (_key, value: unknown) =>
            typeof value === "string" ? (values[/^\$\{(\w+)\}$/.exec(value)?.[1] ?? ""] ?? value) : value,
        }) as Call,
    );
}
