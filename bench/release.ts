/**
 * How fast a release is, each time against a floor on the same servers at the same time: ours and the floors take turns,
 * and every change is timed by one watch that belongs to neither.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterClient } from "../activities/kubernetes/client.ts";
import type { Manifest } from "../domain/workload/render.ts";
import { measureConfirms } from "./confirm.ts";
import { measureRelease } from "./cost.ts";
import { applyDeployment, createService, type PodTemplate } from "./floors/deployment.ts";
import type { ScriptMessage } from "./floors/script.ts";
import { startProgram } from "./program.ts";
import { imageOf, openService, SERVICE, WORKLOAD } from "./service.ts";
import type { Change, ReleaseInstallation, Work } from "./service.ts";
import { quantile } from "./statistics.ts";
import { allRun, openWitness } from "./witness.ts";

type Sizes = {
  work: Work;
  rounds: number;
  warmUp: number;
  confirms: { orders: number; each: number };
  costs: number[];
};

const FULL: Sizes = {
  work: { pods: 200, groups: 4 },
  rounds: 5,
  warmUp: 1,
  confirms: { orders: 10, each: 20 },
  costs: [20, 200],
};
/** One round of little work: shows that everything runs, not how fast. */
const QUICK: Sizes = {
  work: { pods: 24, groups: 4 },
  rounds: 1,
  warmUp: 0,
  confirms: { orders: 1, each: 3 },
  costs: [12],
};

/** Left to the servers before each change, so that none pays for what another, or its own preparation, left behind, ms. */
const SETTLE = 1_500;

/** `print` gets one JSON object for each figure. */
export async function benchRelease(
  installation: ReleaseInstallation,
  print: (result: object) => void,
  { quick = false }: { quick?: boolean } = {},
): Promise<void> {
  const { work, rounds, warmUp, confirms, costs } = quick ? QUICK : FULL;
  await benchChanges(installation, { work, rounds, warmUp }, print);

  const { ours, floor } = await measureConfirms(installation, confirms);
  for (const share of [0.5, 0.9]) {
    const name = `confirm-to-first-pod-change-p${share * 100}`;
    print(line(name, { confirms: ours.length }, quantile(ours, share), quantile(floor, share)));
  }

  for (const pods of costs) {
    const each = { pods, groups: work.groups };
    const { writes } = await measureRelease(installation, each);
    const { pods: patches = 0, ...others } = writes;
    const rest = Object.values(others).reduce((sum, number) => sum + number, 0);
    print({ bench: "writes-per-pod", work: each, per_pod: patches / pods, besides: rest, writes });
  }
}

async function benchChanges(
  installation: ReleaseInstallation,
  { work, rounds, warmUp }: Pick<Sizes, "work" | "rounds" | "warmUp">,
  print: (result: object) => void,
): Promise<void> {
  const contest = await openContest(installation, work);
  const times: Record<keyof Contest["changes"], number[]> = {
    inPlace: [],
    recreate: [],
    deployment: [],
    patching: [],
    evicting: [],
  };
  try {
    for (let round = 0; round < warmUp + rounds; round++) {
      for (const name of Object.keys(times) as (keyof typeof times)[]) {
        const time = await contest.changes[name](`${round}-${name.toLowerCase()}`);
        if (round >= warmUp) times[name].push(time);
      }
    }
  } finally {
    await contest.close();
  }
  const of = (name: keyof typeof times): number => quantile(times[name], 0.5);
  const said = { ...work, rounds };
  print(line("in-place-vs-deployment", said, of("inPlace"), of("deployment")));
  print(line("in-place-vs-script", said, of("inPlace"), of("patching")));
  print(line("recreate-vs-deployment", said, of("recreate"), of("deployment")));
  print(line("recreate-vs-script", said, of("recreate"), of("evicting")));
}

/** Each change brings all pods to a tag and answers with its time, ms. */
type Contest = {
  changes: Record<"inPlace" | "recreate" | "deployment" | "patching" | "evicting", (tag: string) => Promise<number>>;
  close(): Promise<void>;
};

async function openContest(installation: ReleaseInstallation, work: Work): Promise<Contest> {
  const service = await openService(installation, work);
  const { kube, namespace } = service;
  const [ofDeployment, ofScript] = [`${namespace}-deployment`, `${namespace}-script`];
  for (const name of [ofDeployment, ofScript]) {
    await kube.request({ method: "POST", path: "/api/v1/namespaces", body: { metadata: { name } } });
  }
  const witnesses = {
    ours: await openWitness(kube, namespace),
    deployment: await openWitness(kube, ofDeployment),
    script: await openWitness(kube, ofScript),
  };
  const done = (of: keyof typeof witnesses, tag: string): Promise<number> =>
    witnesses[of].until(`${of} at ${tag}`, allRun(imageOf(tag), work.pods));

  const first = await service.plan({ tag: "first", version: "first" });
  await service.start(first);
  const { apps } = await service.reach(first, "SUCCEEDED");
  const template = await copyWorkload(kube, namespace, ofScript);
  const deploy = (tag: string): Promise<void> => applyDeployment(kube, ofDeployment, { work, template, tag });
  await createService(kube, ofDeployment);
  await deploy("first");
  await Promise.all([done("deployment", "first"), done("script", "first")]);
  const groups = (apps?.[0]?.groups ?? []).map(({ pods = [] }) => pods.map(({ name }) => name));
  const script = await startProgram<ScriptMessage>("floors/script.ts", [
    installation.kubernetes.kubeconfigs.admin,
    ofScript,
  ]);
  let version = "first";

  const release = async (change: Change): Promise<number> => {
    const order = await service.plan(change);
    await sleep(SETTLE);
    const begin = performance.now();
    await service.start(order);
    const time = (await done("ours", change.tag)) - begin;
    await service.reach(order, "SUCCEEDED");
    return time;
  };
  const run = async (how: "patch" | "evict", tag: string): Promise<number> => {
    await script.tell({ do: "prepare" });
    await sleep(SETTLE);
    const begin = performance.now();
    const [end] = await Promise.all([
      done("script", tag),
      script.tell({ do: how, set: WORKLOAD, groups, image: imageOf(tag) }),
    ]);
    return end - begin;
  };
  return {
    changes: {
      inPlace: (tag) => release({ tag, version }),
      recreate: (tag) => release({ tag, version: (version = tag) }),
      async deployment(tag) {
        await sleep(SETTLE);
        const begin = performance.now();
        await deploy(tag);
        return (await done("deployment", tag)) - begin;
      },
      patching: (tag) => run("patch", tag),
      evicting: (tag) => run("evict", tag),
    },
    async close() {
      await script.close();
      for (const witness of Object.values(witnesses)) witness.close();
    },
  };
}

/**
 * Makes what the script changes: our StatefulSet and its Service as they are, without what Cellwright notes on them.
 * Answers with what their pods are made of.
 */
async function copyWorkload(kube: ClusterClient, from: string, to: string): Promise<PodTemplate> {
  const copy = async (path: string): Promise<{ template: PodTemplate }> => {
    const [, version = "", kind = "", name = ""] = /^(.+)\/(.+)\/(.+)$/.exec(path) ?? [];
    const at = (namespace: string): string => `${version}/namespaces/${namespace}/${kind}`;
    const { spec } = await kube.request<Manifest>({ method: "GET", path: `${at(from)}/${name}` });
    await kube.request({ method: "POST", path: at(to), body: { metadata: { name }, spec } });
    return spec as { template: PodTemplate };
  };
  await copy(`/api/v1/services/${SERVICE}`);
  const { template } = await copy(`/apis/apps/v1/statefulsets/${WORKLOAD}`);
  return template;
}

function line(bench: string, work: object, ours: number, floor: number): object {
  return { bench, work, ours_s: seconds(ours), floor_s: seconds(floor), ratio: Number((ours / floor).toFixed(3)) };
}

function seconds(ms: number): number {
  return Number((ms / 1000).toFixed(4));
}
