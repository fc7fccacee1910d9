const FORM = /^([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)(m|u|n|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?[0-9]{1,2})?$/;
const DECIMAL: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, "": 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const BINARY: readonly string[] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/** Kubernetes keeps amounts in a signed 64-bit integer and silently cuts what is larger. */
const LARGEST = (2n ** 63n - 1n) * 10n ** 9n;

/**
 * Parses a Kubernetes quantity (`0.5`, `500m`, `1e3`, `256Mi`).
 * @returns the amount in billionths of its unit (CPUs or bytes), or undefined when it does not parse, is negative,
 *   finer than a billionth, or larger than Kubernetes can keep.
 */
export function parseQuantity(text: string): bigint | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const [, sign = "", digits = "", suffix = ""] = match;
  const [whole = "", fraction = ""] = digits.split(".");
  const mantissa = BigInt(whole + fraction);
  const binary = BINARY.indexOf(suffix);
  // "E" alone is exa; followed by digits it is an exponent.
  const exponent = DECIMAL[suffix] ?? (binary === -1 ? Number(suffix.slice(1)) : 0);
  const scaled = mantissa * (binary === -1 ? 1n : 1024n ** BigInt(binary + 1));
  const power = 9 + exponent - fraction.length;
  if (power < 0 && scaled % 10n ** BigInt(-power) !== 0n) return undefined;
  const amount = power < 0 ? scaled / 10n ** BigInt(-power) : scaled * 10n ** BigInt(power);
  if ((sign === "-" && amount !== 0n) || amount > LARGEST) return undefined;
  return amount;
}

/** One thousandth of a CPU, in billionths: nothing finer can be asked for. */
export const MILLI_CPU = 1_000_000n;
/** One byte, in billionths: nothing finer can be asked for. */
export const BYTE = 1_000_000_000n;
