import Type, { type Static } from "typebox";
import { absolutePath, closed, dataKey, flag, objectName, permissions, podPartName, quantity } from "./fields.ts";

/** Volumes of a pod, and the claims that a stateful service makes for each of its pods. */

/** Kubernetes keeps names that begin with ".." for itself. */
const fileName = Type.String({
  pattern: "^(?!/)(?!\\.\\.)(?!.*/\\.\\.(/|$))[^:\\u0000]+$",
  minLength: 1,
  maxLength: 1024,
  description:
    'the name of the file: a relative path of at most 1024 characters, without ":" and "..", not beginning with ".."',
});
const items = Type.Optional(
  Type.Array(Type.Object({ key: dataKey, path: fileName, mode: Type.Optional(permissions) }, closed), {
    minItems: 1,
    maxItems: 200,
    description: "a list of 1 to 200 keys",
  }),
);
const files = {
  /** Which keys become files; left out: all, under their own names. */
  items,
  defaultMode: Type.Optional(Type.Integer({ ...permissions, default: 420 })),
  optional: Type.Optional(flag),
};

/** Exactly one source. */
export const Volume = Type.Object(
  {
    name: podPartName("a volume name"),
    configMap: Type.Optional(Type.Object({ name: objectName("a ConfigMap"), ...files }, closed)),
    secret: Type.Optional(Type.Object({ secretName: objectName("a Secret"), ...files }, closed)),
    emptyDir: Type.Optional(
      Type.Object(
        {
          /** "Memory": a file system in memory, counted against the containers' limits. */
          medium: Type.Optional(Type.Enum(["", "Memory"], { default: "" })),
          sizeLimit: Type.Optional(quantity('"256Mi" or "1G"')),
        },
        closed,
      ),
    ),
    hostPath: Type.Optional(
      Type.Object(
        {
          path: absolutePath("a path on the node"),
          type: Type.Optional(
            Type.Enum(
              ["", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"],
              { default: "" },
            ),
          ),
        },
        closed,
      ),
    ),
    /** One claim that all pods share. For a claim per pod see `volumeClaimTemplates`. */
    persistentVolumeClaim: Type.Optional(
      Type.Object({ claimName: objectName("a PersistentVolumeClaim"), readOnly: Type.Optional(flag) }, closed),
    ),
  },
  closed,
);

/** The fields of a volume of which exactly one is given. */
export const VOLUME_SOURCES = ["configMap", "secret", "emptyDir", "hostPath", "persistentVolumeClaim"] as const;

/** A claim `<name>-<service>-<cell>-<n>` per pod, kept when the pod goes; mounted under its name like a volume. */
export const VolumeClaimTemplate = Type.Object(
  {
    name: podPartName("a claim template name"),
    accessModes: Type.Array(Type.Enum(["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"]), {
      minItems: 1,
      maxItems: 3,
      uniqueItems: true,
      description: "a list of 1 to 3 different access modes",
    }),
    /** Left out: the cluster's default class. */
    storageClassName: Type.Optional(objectName("a StorageClass")),
    size: quantity('"10Gi"'),
  },
  closed,
);

export type Volume = Static<typeof Volume>;
export type VolumeClaimTemplate = Static<typeof VolumeClaimTemplate>;
