import type { Money } from './money.ts';
import type { ProviderId, Subject } from './subject.ts';
import type { EpochMs } from './time.ts';

/** What a notification is about, in simhook's words. `unknown` is stored and shown, never acted on. */
export const eventKinds = [
  'usage-alert',
  'order-status',
  'package-ordered',
  'package-effective',
  'package-stopped',
  'card-stopped',
  'refund',
  'recharge',
  'plan-reminder',
  'sim-status',
  'sim-unlocked',
  'sim-moved',
  'sms-delivered',
  'sms-received',
  'async-result',
  'unknown',
] as const;
export type EventKind = (typeof eventKinds)[number];

/** Why a usage alert was raised. */
export const usageAlerts = ['low-data', 'low-data-percent', 'expiring', 'unknown'] as const;
export type UsageAlert = (typeof usageAlerts)[number];

/** What became of an order at the provider. */
export const orderStatuses = [
  'created',
  'ended-early',
  'cancelled',
  'paused',
  'restarted',
  'started',
  'expired',
  'renewed',
  'cycles-reduced',
  'imsi-redownloaded',
  'unknown',
] as const;
export type OrderStatus = (typeof orderStatuses)[number];

/** Why a plan reminder was sent. */
export const planWarnings = ['no-plan', 'expiring', 'expired', 'trial-used', 'unknown'] as const;
export type PlanWarning = (typeof planWarnings)[number];

/** The order that a notification names, as far as it names one. */
export interface OrderReference {
  /** The provider's order number, as text. */
  readonly orderId: string | null;
  /** The caller's own order number, where the provider echoes it. */
  readonly reference: string | null;
  readonly packageCode: string | null;
}

/** What the notification says, normalised. Codes that we don't know stay readable in `providerType`. */
export type EventFacts =
  | {
      readonly kind: 'usage-alert';
      readonly alert: UsageAlert;
      readonly value: string | null;
      readonly order: OrderReference;
    }
  | { readonly kind: 'order-status'; readonly status: OrderStatus; readonly order: OrderReference }
  | {
      readonly kind: 'package-ordered' | 'package-effective' | 'package-stopped';
      readonly order: OrderReference;
    }
  | {
      readonly kind: 'refund';
      readonly order: OrderReference;
      readonly refunded: Money | null;
      readonly refundedText: string | null;
    }
  | { readonly kind: 'recharge'; readonly order: OrderReference }
  | { readonly kind: 'plan-reminder'; readonly warning: PlanWarning; readonly expiresAt: string | null }
  | { readonly kind: 'sim-status'; readonly status: string }
  | { readonly kind: 'sms-received'; readonly encoding: 'text' | 'binary' | 'unknown' }
  | {
      readonly kind: 'async-result';
      readonly requestId: string | null;
      readonly operation: string | null;
      readonly result: string | null;
    }
  | { readonly kind: 'card-stopped' | 'sim-unlocked' | 'sim-moved' | 'sms-delivered' | 'unknown' };

/** How far the event can be trusted. `unsigned` facts spend only after the provider has confirmed them. */
export type Proof =
  | { readonly kind: 'signed'; readonly scheme: string; readonly variant: string }
  | { readonly kind: 'unsigned'; readonly why: string }
  | { readonly kind: 'reconciled'; readonly source: string };

/** One verified, stored fact about one SIM or order. */
export interface WebhookEvent {
  readonly eventId: string;
  readonly provider: ProviderId;
  /** The provider's own name or code for this notification, verbatim. */
  readonly providerType: string;
  readonly facts: EventFacts;
  /** Null when the notification names no SIM that we can read. */
  readonly subject: Subject | null;
  readonly proof: Proof;
  /** When it happened, where the provider says so in a form that we can place. */
  readonly occurredAt: EpochMs | null;
  readonly receivedAt: EpochMs;
  /** Follows the work from the callback to the provider's order, in every log line. */
  readonly correlationId: string;
  /** The evidence row that holds the callback's bytes and signed headers. */
  readonly callbackId: string;
}

/** The order an event names; null for kinds that name none. */
export function orderOf(facts: EventFacts): OrderReference | null {
  return 'order' in facts ? facts.order : null;
}

/**
 * True for notifications that a purchase itself causes. When such an event belongs to one of our own actions,
 * it never spends: otherwise a renewal's own callback could renew again.
 */
export function isEffectOfPurchase(facts: EventFacts): boolean {
  switch (facts.kind) {
    case 'package-ordered':
    case 'package-effective':
    case 'recharge':
    case 'refund':
    case 'async-result':
      return true;
    case 'order-status':
      return facts.status !== 'expired' && facts.status !== 'ended-early';
    default:
      return false;
  }
}
