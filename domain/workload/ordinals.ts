/**
 * Sets of ordinals as short text, for annotations: `0-3,7`. A thousand pods in a row cost five characters. Canonical:
 * equal sets give equal texts.
 */

export function formatOrdinals(ordinals: Iterable<number>): string {
  const sorted = [...new Set(ordinals)].toSorted((a, b) => a - b);
  const ranges: [first: number, last: number][] = [];
  for (const ordinal of sorted) {
    const range = ranges.at(-1);
    if (range !== undefined && range[1] === ordinal - 1) range[1] = ordinal;
    else ranges.push([ordinal, ordinal]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}

/** Throws on text that `formatOrdinals` cannot have written: somebody else's hand. */
export function parseOrdinals(text: string): Set<number> {
  const ordinals = new Set<number>();
  if (text === "") return ordinals;
  for (const part of text.split(",")) {
    const match = /^(\d{1,10})(?:-(\d{1,10}))?$/.exec(part);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || last < first || last - first >= 100_000) {
      throw new RangeError(`"${text}" is not a list of ordinals such as "0-3,7"`);
    }
    for (let ordinal = first; ordinal <= last; ordinal++) ordinals.add(ordinal);
  }
  return ordinals;
}
