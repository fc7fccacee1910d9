/** The floor of a confirm: a workflow that knows nothing but an update, and calls one activity after it. */
import { condition, defineUpdate, proxyActivities, setHandler } from "@temporalio/workflow";

export const FLOOR_QUEUE = "bench-floor";
export const confirmUpdate = defineUpdate<void, [image: string]>("confirm");

const { patchPod } = proxyActivities<{ patchPod(image: string): Promise<void> }>({
  startToCloseTimeout: "20 seconds",
});

/** Ends after so many updates. */
export async function bareUpdates(times: number): Promise<void> {
  const images: string[] = [];
  setHandler(confirmUpdate, (image) => void images.push(image));
  for (let done = 0; done < times; done++) {
    await condition(() => images.length > done);
    await patchPod(images[done] ?? "");
  }
}
