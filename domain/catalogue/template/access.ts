import Type, { type Static } from "typebox";
import { DNS_LABEL_PATTERN } from "../names.ts";
import { closed, listOf, portName, portNumber, protocol } from "./fields.ts";

/** How others reach the service. */

const targetPort = Type.Unsafe<number | string>({
  type: ["integer", "string"],
  minimum: 1,
  maximum: 65_535,
  minLength: 1,
  maxLength: 15,
  description: "a port number from 1 to 65535, or the name of a container's port",
});
const portBodySchema = Type.Object(
  {
    /** Left out: `<protocol>-<port>`. */
    name: Type.Optional(portName),
    port: portNumber,
    /** Left out: the same number. */
    targetPort: Type.Optional(targetPort),
    protocol: Type.Optional(protocol),
  },
  closed,
);
const portSchema = Type.Object({ name: portName, port: portNumber, targetPort, protocol }, closed);

const serviceIdentity = {
  /** The Service's name is `<app service>-<this>`. */
  name: Type.String({
    pattern: DNS_LABEL_PATTERN,
    minLength: 1,
    maxLength: 20,
    description:
      'a suffix of 1 to 20 characters: lowercase letters, digits and "-", beginning with a letter and ending with a ' +
      "letter or digit",
  }),
  type: Type.Enum(["ClusterIP", "Headless"]),
};
export const AccessService = Type.Object({ ...serviceIdentity, ports: listOf(portSchema, 50, "ports") }, closed);
const accessServiceBodySchema = Type.Object(
  { ...serviceIdentity, ports: Type.Optional(listOf(portBodySchema, 50, "ports")) },
  closed,
);

export const Access = Type.Object({ services: listOf(AccessService, 20, "Services") }, { ...closed, default: {} });
export const AccessBody = Type.Object(
  { services: Type.Optional(listOf(accessServiceBodySchema, 20, "Services")) },
  { ...closed, default: {} },
);

export type AccessService = Static<typeof AccessService>;
