import type { Fault } from "../faults.ts";
import type { RevisionSpec } from "../revision.ts";
import { VOLUME_SOURCES, type Volume, type VolumeClaimTemplate } from "../template/volume.ts";
import { exactlyOne, located, readQuantity, repeated } from "./common.ts";

/** Rules for volumes and claim templates. */

/** Names that containers can mount. */
export function mountable({ template, volumeClaimTemplates }: RevisionSpec): ReadonlySet<string> {
  return new Set([...template.volumes, ...volumeClaimTemplates].map(({ name }) => name));
}

export function volumeFaults({ stateful, template, volumeClaimTemplates }: RevisionSpec): Fault[] {
  const volumes = located(template.volumes, "/template/volumes");
  const claims = located(volumeClaimTemplates, "/volumeClaimTemplates");
  return [
    ...(!stateful && claims.length > 0
      ? [
          {
            field: "/volumeClaimTemplates",
            message:
              "are only possible for a stateful service, whose pods keep their names: set stateful to true, or use " +
              "a volume",
          },
        ]
      : []),
    ...repeated(
      [...volumes, ...claims].map(({ item, field }) => ({ field: `${field}/name`, key: item.name })),
      (first) => `is the name of another volume too (${first}); names of volumes and claim templates must differ`,
    ),
    ...volumes.flatMap(({ item, field }) => oneVolume(item, field)),
    ...claims.flatMap(({ item, field }) => oneClaim(item, field)),
  ];
}

function oneVolume(volume: Volume, field: string): Fault[] {
  const files = (["configMap", "secret"] as const).flatMap((source) =>
    located(volume[source]?.items ?? [], `${field}/${source}/items`),
  );
  const limit = volume.emptyDir?.sizeLimit;
  const size = limit === undefined ? undefined : readQuantity(limit, "memory", `${field}/emptyDir/sizeLimit`);
  return [
    ...exactlyOne(volume, VOLUME_SOURCES, field),
    ...repeated(
      files.map(({ item, field: at }) => ({ field: `${at}/path`, key: item.path })),
      (first) => `is the name of another file too (${first}); files of one volume must differ`,
    ),
    ...(size !== undefined && "fault" in size ? [size.fault] : []),
  ];
}

function oneClaim({ accessModes, size }: VolumeClaimTemplate, field: string): Fault[] {
  const amount = readQuantity(size, "memory", `${field}/size`);
  const isAlone = !accessModes.includes("ReadWriteOncePod") || accessModes.length === 1;
  return [
    ...("fault" in amount ? [amount.fault] : []),
    ...("amount" in amount && amount.amount === 0n
      ? [{ field: `${field}/size`, message: "must be more than nothing" }]
      : []),
    ...(isAlone
      ? []
      : [{ field: `${field}/accessModes`, message: "must not have other modes beside ReadWriteOncePod" }]),
  ];
}
