import { pointer, type Fault } from "../faults.ts";
import { BYTE, MILLI_CPU, parseQuantity } from "../quantity.ts";

/** What the rules share. A rule takes parts of a revision with every default filled in and answers all its faults. */

/** A fault for every entry whose key an earlier one has already; `say` gets where that one is. */
export function repeated(
  entries: readonly { readonly field: string; readonly key: string }[],
  say: (first: string) => string,
): Fault[] {
  const firsts = new Map<string, string>();
  return entries.flatMap(({ field, key }) => {
    const first = firsts.get(key);
    if (first === undefined) firsts.set(key, field);
    return first === undefined ? [] : [{ field, message: say(first) }];
  });
}

/** The entries of a list with the field of each. */
export function located<T>(list: readonly T[], field: string): { item: T; field: string }[] {
  return list.map((item, index) => ({ item, field: pointer(field, index) }));
}

/** A fault unless exactly one of the fields is given. */
export function exactlyOne(item: object, names: readonly string[], field: string): Fault[] {
  if (names.filter((name) => Object.hasOwn(item, name)).length === 1) return [];
  return [{ field, message: `must have exactly one of ${names.slice(0, -1).join(", ")} and ${names.at(-1)}` }];
}

/** The amount in billionths, or the fault of a text that Kubernetes would not keep as it is. */
export function readQuantity(
  text: string,
  resource: "cpu" | "memory",
  field: string,
): { amount: bigint } | { fault: Fault } {
  const [finest, unit, example] =
    resource === "cpu" ? [MILLI_CPU, "1m", '"500m" or "2"'] : [BYTE, "one byte", '"256Mi" or "1G"'];
  const amount = parseQuantity(text);
  if (amount !== undefined && amount % finest === 0n) return { amount };
  const message =
    "is not a quantity that Kubernetes can keep: use a number that is not negative and not finer than " +
    `${unit}, such as ${example}`;
  return { fault: { field, message } };
}
