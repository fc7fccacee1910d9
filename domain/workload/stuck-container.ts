/** Containers that do not start, or do not stay: what the kubelet says of them, and what can be done. Pure. */
import { clip, containerTrouble, type PodEvent } from "./reason.ts";
import type { Stuck } from "./stuck-kinds.ts";
import { isStillOld, type ContainerFacts, type PodFacts } from "./updated.ts";

/** `events`: of the pod since it was made or changed. */
export function diagnoseContainer(
  pod: Pick<PodFacts, "previousContainers">,
  container: ContainerFacts,
  events: readonly PodEvent[],
): Stuck | undefined {
  if (isStillOld(pod, container)) return notReplaced(container, events);
  return containerStuck(container) ?? crashed(container);
}

const IMAGE_PATIENCE: Readonly<Record<string, number>> = {
  ErrImagePull: 60,
  ImagePullBackOff: 60,
  RegistryUnavailable: 60,
  ImageInspectError: 60,
  SignatureValidationFailed: 15,
  // Neither a spelling nor a policy changes by itself.
  InvalidImageName: 10,
  ErrImageNeverPull: 10,
};

function containerStuck(container: ContainerFacts): Stuck | undefined {
  const { waiting } = container;
  if (waiting === undefined) return undefined;
  const what = clip(containerTrouble(container) ?? "");
  const patience = IMAGE_PATIENCE[waiting.reason];
  if (patience !== undefined) return { kind: "image", what, remedy: imageRemedy(waiting.reason), patience };
  switch (waiting.reason) {
    case "CreateContainerConfigError": {
      const missing = missingObject(waiting.message ?? "");
      return {
        kind: "container",
        what,
        remedy:
          missing === undefined
            ? "mend what the message names, or release a revision without it; then retry"
            : `create ${missing}, or release a revision that does not refer to it; then retry`,
        patience: 30,
      };
    }
    case "CreateContainerError":
    case "RunContainerError":
    case "PreCreateHookError":
    case "PreStartHookError":
    case "PostStartHookError":
    case "StartError":
      return {
        kind: "container",
        what,
        remedy: "mend the command, the hook or the setting that the message names in a new revision, or roll back",
        patience: 60,
      };
    case "CrashLoopBackOff":
      return crashing(container);
    default:
      return undefined;
  }
}

/**
 * The old container was ended, and the new one is not there. A kubelet then speaks of a crash loop, of the old container,
 * and only its events tell what hinders the new one (measured on 1.34).
 */
function notReplaced(container: ContainerFacts, events: readonly PodEvent[]): Stuck | undefined {
  const found = container.waiting?.reason === "CrashLoopBackOff" ? undefined : containerStuck(container);
  if (found !== undefined || container.terminated === undefined) return found;
  const pulling = events.filter(({ type, message }) => type === "Warning" && /pull|image/i.test(message));
  const failed = last(pulling, "Failed", "InspectFailed", "ErrImageNeverPull") ?? last(pulling, "BackOff");
  if (failed === undefined) return undefined;
  const reason = failed.reason in IMAGE_PATIENCE ? failed.reason : "ErrImagePull";
  return {
    kind: "image",
    what: clip(`container ${container.name} (${container.image}): ${reason}: ${failed.message}`),
    remedy: imageRemedy(reason),
    patience: IMAGE_PATIENCE[reason]!,
  };
}

/** It has ended, and its next run is not due yet. */
function crashed(container: ContainerFacts): Stuck | undefined {
  const { waiting, terminated } = container;
  return waiting === undefined && terminated !== undefined ? crashing(container) : undefined;
}

function crashing(container: ContainerFacts): Stuck {
  const { terminated, restarts } = container;
  return {
    kind: "crash-loop",
    what: clip(containerTrouble(container) ?? ""),
    remedy:
      terminated?.reason === "OOMKilled"
        ? "raise the container's memory limit, or make it use less, in a new revision"
        : "read the log of the container's last run (previous=true); then release a mended revision, or roll back",
    patience: 60,
    ...(restarts === undefined ? {} : { restarts }),
  };
}

function imageRemedy(reason: string): string {
  switch (reason) {
    case "InvalidImageName":
      return "release a revision with a valid image name";
    case "ErrImageNeverPull":
      return "put the image on the cell's nodes, or release a revision that may pull it";
    default:
      return "check that the image and its tag exist, and that the nodes reach the registry and may pull from it (pull secrets); then retry, or release another image";
  }
}

/** The ConfigMap, Secret or key that is said to be missing. */
export function missingObject(message: string): string | undefined {
  const key = /couldn't find key (\S+) in (ConfigMap|Secret) (\S+)/i.exec(message);
  if (key !== null) return `key ${key[1]} of ${key[2]} ${key[3]}`;
  const object = /(configmap|secret|persistentvolumeclaim) "([^"]+)" not found/i.exec(message);
  if (object === null) return undefined;
  const kinds: Record<string, string> = { configmap: "ConfigMap", secret: "Secret" };
  return `${kinds[object[1]!.toLowerCase()] ?? "PersistentVolumeClaim"} ${object[2]}`;
}

/** The newest event with one of these reasons. */
export function last(events: readonly PodEvent[], ...reasons: string[]): PodEvent | undefined {
  return events.filter(({ reason }) => reasons.includes(reason)).toSorted((a, b) => b.at - a.at)[0];
}
