import type { Action, SentWindow } from '../../shared/core/action.ts';
import type { Finding } from '../../shared/core/outcome.ts';
import { knownOrders } from '../../shared/store/action-store.ts';
import type { ActDeps } from './act-deps.ts';

/** Asks the provider's records for a purchase whose answer was lost, without the orders that belong to others. */
export async function findPurchase(
  action: Action,
  sentWindow: SentWindow | null,
  deps: ActDeps,
): Promise<Finding> {
  if (sentWindow === null) throw new Error(`${action.actionId} is looked up but was never sent`);
  const knownOrderIds = await knownOrders(deps.table, action);
  const { lateCommit } = deps.profile;
  const { baseline } = action;
  return deps.client.findPurchase({ order: action, baseline, sentWindow, lateCommit, knownOrderIds });
}
