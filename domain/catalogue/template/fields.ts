import Type from "typebox";

/** Building blocks of the schemas of a revision. Every description completes the sentence "must be …". */

export const closed = { additionalProperties: false } as const;

export function seconds(minimum: number, maximum: number, defaultValue: number) {
  return Type.Integer({
    minimum,
    maximum,
    default: defaultValue,
    description: `a whole number of seconds from ${minimum} to ${maximum}`,
  });
}

export function count(minimum: number, maximum: number, defaultValue?: number) {
  return Type.Integer({
    minimum,
    maximum,
    description: `a whole number from ${minimum} to ${maximum}`,
    ...(defaultValue === undefined ? {} : { default: defaultValue }),
  });
}

export const flag = Type.Boolean({ default: false, description: "true or false" });

export const text = Type.String({ maxLength: 32_768, description: "a text of at most 32768 characters" });

export const Words = Type.Array(text, {
  minItems: 1,
  maxItems: 100,
  description: "a list of 1 to 100 texts",
});

export const portNumber = Type.Integer({
  minimum: 1,
  maximum: 65_535,
  description: "a port number from 1 to 65535",
});

export const portName = Type.String({
  pattern: "^(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
  maxLength: 15,
  description: 'a port name of at most 15 lowercase letters, digits and single "-", with at least one letter',
});

/** A port's number, or the name of a container's port; whether that exists is checked by the rules. */
export const portReference = Type.Unsafe<number | string>({
  type: ["integer", "string"],
  minimum: 1,
  maximum: 65_535,
  minLength: 1,
  maxLength: 15,
  description: "a port number from 1 to 65535, or the name of one of this container's ports",
});

export const protocol = Type.Enum(["TCP", "UDP"], { default: "TCP" });

/** A Kubernetes quantity; whether it parses is checked by the rules. */
export function quantity(examples: string) {
  return Type.String({ minLength: 1, maxLength: 32, description: `a Kubernetes quantity such as ${examples}` });
}

/** Name of an object of Kubernetes that is not ours: a ConfigMap, a Secret, a claim. */
export function objectName(what: string) {
  return Type.String({
    pattern: "^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$",
    minLength: 1,
    maxLength: 253,
    description:
      `the name of ${what}, of 1 to 253 characters: lowercase letters, digits, "-" and ".", every part between ` +
      "dots beginning and ending with a letter or digit",
  });
}

/** A key of a ConfigMap's or Secret's data. */
export const dataKey = Type.String({
  pattern: "^(?!\\.$|\\.\\.)[A-Za-z0-9_.-]+$",
  minLength: 1,
  maxLength: 253,
  description: 'a key of at most 253 letters, digits, "_", "-" and ".", not "." and not beginning with ".."',
});

/** A name inside one pod: of a volume or a claim template. */
export function podPartName(what: string) {
  return Type.String({
    pattern: "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
    minLength: 1,
    maxLength: 63,
    description: `${what} of 1 to 63 characters: lowercase letters, digits and "-", beginning and ending with a letter or digit`,
  });
}

/** An absolute path in a file system, without "..", and without ":" (a container runtime's separator). */
export function absolutePath(what: string) {
  return Type.String({
    pattern: "^/(?!\\.\\.(/|$))(?!.*/\\.\\.(/|$))[^:\\u0000]*$",
    maxLength: 1024,
    description: `${what}: an absolute path of at most 1024 characters, without ":" and ".."`,
  });
}

/** A path below a directory. */
export function relativePath(what: string) {
  return Type.String({
    pattern: "^(?!/)(?!\\.\\.(/|$))(?!.*/\\.\\.(/|$))[^:\\u0000]+$",
    minLength: 1,
    maxLength: 1024,
    description: `${what}: a relative path of at most 1024 characters, without ":" and ".."`,
  });
}

export const permissions = Type.Integer({
  minimum: 0,
  maximum: 511,
  description: "permission bits as a decimal number from 0 to 511, e.g. 420 for 0644",
});

/** A label's key; its syntax is checked by the rules. */
export const labelKey = Type.String({
  minLength: 1,
  maxLength: 317,
  description: "a label key of at most 317 characters",
});
export const labelValue = Type.String({ maxLength: 63, description: "a text of at most 63 characters" });

/** A list without a default: left out, it stays away. */
export function bounded<T extends Type.TSchema>(item: T, most: number, what: string) {
  return Type.Array(item, { maxItems: most, description: `a list of at most ${most} ${what}` });
}

/** A list that is empty when it is left out. */
export function listOf<T extends Type.TSchema>(item: T, most: number, what: string) {
  return Type.Array(item, { maxItems: most, default: [], description: `a list of at most ${most} ${what}` });
}
