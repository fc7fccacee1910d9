/** Runs `update-workflow.ts` and its activity: `node update-worker.ts ADDRESS NAMESPACE KUBECONFIG POD_NAMESPACE POD`. */
import { fileURLToPath } from "node:url";
import { CoreV1Api, KubeConfig, PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { DefaultLogger, NativeConnection, Runtime, Worker } from "@temporalio/worker";
import { serveProgram } from "../program.ts";
import { FLOOR_QUEUE } from "./update-workflow.ts";

const [address = "", temporalNamespace = "", file = "", namespace = "", name = ""] = process.argv.slice(2);
const config = new KubeConfig();
config.loadFromFile(file);
const core = config.makeApiClient(CoreV1Api);
const jsonPatch = setHeaderOptions("Content-Type", PatchStrategy.JsonPatch);
Runtime.install({ shutdownSignals: [], logger: new DefaultLogger("WARN") });
const worker = await Worker.create({
  connection: await NativeConnection.connect({ address }),
  namespace: temporalNamespace,
  taskQueue: FLOOR_QUEUE,
  workflowsPath: fileURLToPath(new URL("./update-workflow.ts", import.meta.url)),
  activities: {
    async patchPod(image: string): Promise<void> {
      const body = [{ op: "replace", path: "/spec/containers/0/image", value: image }];
      await core.patchNamespacedPod({ namespace, name, body }, jsonPatch);
    },
  },
});
worker.run().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
serveProgram(() => Promise.resolve());
