import type { Money } from './money.ts';
import type { EpochMs } from './time.ts';
import type { EventFacts } from './webhook-event.ts';

/** Where an order stands in its life, as far as the provider's state code is known. */
export type OrderPhase = 'waiting' | 'active' | 'ended' | 'unknown';

/**
 * One SIM's part of an order that was placed for several SIMs at once. The order's number alone can belong to one action
 * only.
 */
export function orderPartId(orderId: string, simId: string): string {
  return `${orderId}/${simId}`;
}

/** One order as the provider's records show it, for reconciliation. */
export interface ProviderOrder {
  readonly orderId: string;
  /** The caller's own order number, where the provider keeps it. */
  readonly reference: string | null;
  readonly simId: string;
  readonly packageCode: string | null;
  /** The provider's own state code, verbatim. */
  readonly stateCode: string;
  readonly phase: OrderPhase;
  readonly createdAtText: string | null;
  /** When it was placed; null where the text can't be placed in time, such as one without a known zone. */
  readonly createdAt: EpochMs | null;
  readonly endsAtText: string | null;
  /** When its time runs out or ran out; null where the text can't be placed. An order may end before. */
  readonly endsAt: EpochMs | null;
  readonly price: Money | null;
  readonly refunded: boolean;
  /** What the provider's callback about the present phase says; null for a phase that it sends none for. */
  readonly told: EventFacts | null;
}
