import { days, type EpochMs, hours } from './time.ts';
import { type EventFacts, orderOf, type WebhookEvent } from './webhook-event.ts';

/** Where an order stands, as far as a notification tells. */
export type ToldPhase = 'started' | 'ended';

/** The phase of its order that a notification tells of; null for all others. */
export function phaseToldBy(facts: EventFacts): ToldPhase | null {
  switch (facts.kind) {
    case 'package-effective':
      return 'started';
    case 'package-stopped':
      return 'ended';
    case 'order-status': {
      const { status } = facts;
      if (status === 'started' || status === 'restarted') return 'started';
      return status === 'expired' || status === 'ended-early' || status === 'cancelled' ? 'ended' : null;
    }
    default:
      return null;
  }
}

/** The order whose end an event tells of; null for events that tell of none. */
export function endedOrderOf(event: WebhookEvent): string | null {
  return phaseToldBy(event.facts) === 'ended' ? (orderOf(event.facts)?.orderId ?? null) : null;
}

/** Which event acted on an order's end, and when that end was. */
export interface OrderEnd {
  readonly eventId: string;
  readonly at: EpochMs;
  /** False when the notification named no time, so that `at` is only when it arrived. */
  readonly exact: boolean;
  /** True when the event was found by reconciliation instead of told by a callback. */
  readonly reconciled: boolean;
}

export function orderEndOf(event: WebhookEvent): OrderEnd {
  return {
    eventId: event.eventId,
    at: event.occurredAt ?? event.receivedAt,
    exact: event.occurredAt !== null,
    reconciled: event.proof.kind === 'reconciled',
  };
}

/** Two tellings of one end differ by clocks and zones, and by up to the sender's retries where one has no time. */
const sameWhenExact = hours(12);
const sameWhenNot = days(3);

/**
 * True when one of the two was found by reconciliation and both tell of the same end: a callback that was given up and
 * came after all must not be a second cause. Two callbacks are told apart by the rules' lock and cool-down, as ever. An
 * order that was extended ends again later, which is another end.
 */
export function isSameEnd(a: OrderEnd, b: OrderEnd): boolean {
  if (a.eventId === b.eventId || (!a.reconciled && !b.reconciled)) return false;
  return Math.abs(a.at - b.at) <= (a.exact && b.exact ? sameWhenExact : sameWhenNot);
}
