import type { Action } from '../../../shared/core/action.ts';
import { claim, settle } from '../../../shared/core/lifecycle.ts';
import type { Money } from '../../../shared/core/money.ts';
import type { ProviderOrder } from '../../../shared/core/provider-order.ts';
import {
  compareSim,
  type OrderWatch,
  type ReconcileTerms,
  type SimBooks,
} from '../../../shared/core/reconcile.ts';
import type { SimState } from '../../../shared/core/sim-state.ts';
import { before, days, type EpochMs, epochMs, hours, minutes } from '../../../shared/core/time.ts';
import type { EventFacts } from '../../../shared/core/webhook-event.ts';
import { decidedAction, digest, event, lease, noon, rule, subject, usd } from '../core/samples.ts';

/** An action that bought at 10:00, with the SIM's state after it; the answer named no price unless one is given. */
export function bought(
  orderId: string | null,
  charge: Money | null = null,
  changes: Partial<Action> = {},
): { readonly action: Action; readonly sim: SimState } {
  const at = before(noon, hours(2));
  const { action, sim } = decidedAction({ now: at });
  const claimed = claim({ ...action, ...changes }, sim, lease, at);
  const settled = settle(
    { ...claimed, rule: rule(), now: at, jitter: 0 },
    { kind: 'succeeded', providerOrderId: orderId, charge },
  );
  return { action: settled.action, sim: settled.sim };
}

/** The action while its call's outcome is unknown. */
export function lost(): { readonly action: Action; readonly sim: SimState } {
  const at = before(noon, hours(2));
  const { action, sim } = decidedAction({ now: at });
  const claimed = claim(action, sim, lease, at);
  return settle(
    { ...claimed, rule: rule(), now: at, jitter: 0 },
    { kind: 'unknown', code: 'no-answer', message: '' },
  );
}

export function order(orderId: string, changes: Partial<ProviderOrder> = {}): ProviderOrder {
  return {
    orderId,
    reference: null,
    simId: subject().simId,
    packageCode: 'PKG001',
    stateCode: '0',
    phase: 'waiting',
    createdAtText: '2026-01-14 11:00:00',
    createdAt: null,
    endsAtText: null,
    endsAt: null,
    price: null,
    refunded: false,
    told: null,
    ...changes,
  };
}

export const ended = (
  orderId: string,
  endsAt: EpochMs | null,
  changes: Partial<ProviderOrder> = {},
): ProviderOrder =>
  order(orderId, {
    stateCode: '2',
    phase: 'ended',
    endsAtText: endsAt === null ? 'some time' : String(endsAt),
    endsAt,
    told: stopped(orderId),
    ...changes,
  });

export const started = (orderId: string): ProviderOrder =>
  order(orderId, {
    stateCode: '1',
    phase: 'active',
    told: { kind: 'package-effective', order: named(orderId) },
  });

export const named = (orderId: string) => ({ orderId, reference: null, packageCode: 'PKG001' });
export const stopped = (orderId: string): EventFacts => ({ kind: 'package-stopped', order: named(orderId) });

/** An event of the SIM that says `facts`, received when `at`. */
export function heard(facts: EventFacts, at: EpochMs) {
  const eventId = `evt_${digest(`${JSON.stringify(facts)}${at}`).slice(0, 32)}`;
  return event({ eventId, facts, occurredAt: at, receivedAt: at });
}

export const watch = (changes: Partial<OrderWatch> = {}): OrderWatch => ({
  since: before(noon, days(3)),
  knownOrderIds: [],
  sightings: {},
  openFindings: [],
  ...changes,
});

export const terms: ReconcileTerms = { now: noon, settleTime: minutes(15), maxEventAge: hours(72) };

/** Compares a SIM that was watched for three days, all of it read, at noon unless a test says otherwise. */
export function compare(changes: Partial<SimBooks>, at: EpochMs = noon) {
  const books: SimBooks = {
    subject: subject(),
    orders: [],
    ordersWhole: true,
    actions: [],
    events: [],
    timelineWhole: true,
    timelineFrom: epochMs(noon - days(45)),
    owners: new Map(),
    holder: null,
    watch: watch(),
    ...changes,
  };
  return compareSim(books, { ...terms, now: at });
}

export { usd };
