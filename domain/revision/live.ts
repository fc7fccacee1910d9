/** What runs of an app service, as the records of its orders tell it. */
import { isEnded, type PipelineStateName } from "../pipeline/states.ts";

/** What one order came to for one app service. */
export type OrderedChange = {
  order: string;
  /** Of the order's pipeline of this app service. */
  state: PipelineStateName;
  /** The revision that was to be released. */
  revision: number;
  /** The one that it was rolled back to; absent when that was nothing, or it was not rolled back. */
  rolledBackTo?: number;
};

export type Live =
  /** No order has changed anything, or what was changed has been rolled back to nothing. */
  | { readonly kind: "nothing" }
  /** The order brought it there, or back there. */
  | { readonly kind: "revision"; readonly number: number; readonly order: string }
  /** An order is changing it, or has ended half way: pods of several revisions may run. */
  | { readonly kind: "unsettled"; readonly order: string; readonly state: PipelineStateName };

/** @param newest the newest order that changed anything of the service, whatever came of it */
export function liveOf(newest: OrderedChange | undefined): Live {
  if (newest === undefined) return { kind: "nothing" };
  const { order, state, revision, rolledBackTo } = newest;
  if (state === "SUCCEEDED") return { kind: "revision", number: revision, order };
  if (state !== "ROLLED_BACK") return { kind: "unsettled", order, state };
  return rolledBackTo === undefined ? { kind: "nothing" } : { kind: "revision", number: rolledBackTo, order };
}

/** For a person: why nothing certain can be said of what runs. */
export function unsettledBy({ order, state }: Extract<Live, { kind: "unsettled" }>): string {
  return isEnded(state)
    ? `release order ${order} has ended ${state} after it had changed some of the pods`
    : `release order ${order} is changing it (${state})`;
}
