/** What a release costs Temporal as its pods grow: history events in all, and for each pod. */
import { measureRelease } from "./cost.ts";
import type { Installation } from "./service.ts";

/** Pods of each release. */
const SIZES = [20, 200, 1_000];
const GROUPS = 4;

/** `print` gets one JSON object for each release. */
export async function benchHistory(installation: Installation, print: (result: object) => void): Promise<void> {
  for (const pods of SIZES) {
    const { events, patches, duration } = await measureRelease(installation, { pods, groups: GROUPS });
    print({
      bench: "history",
      work: { pods, groups: GROUPS },
      events,
      events_per_pod: events.total / pods,
      patches_per_pod: patches / pods,
      wall_s: duration / 1000,
    });
  }
}
