import type { ActionKind, Json } from './action.ts';
import type { Money } from './money.ts';
import type { ProviderId } from './subject.ts';
import type { DurationMs } from './time.ts';
import type { EventKind, OrderStatus, PlanWarning, UsageAlert } from './webhook-event.ts';

/** When a rule speaks. Each list that is given must hold the event's value; null asks nothing. */
export interface Condition {
  readonly kind: EventKind;
  readonly alerts: readonly UsageAlert[] | null;
  readonly statuses: readonly OrderStatus[] | null;
  readonly warnings: readonly PlanWarning[] | null;
  readonly packageCodes: readonly string[] | null;
  /** SIM identifiers, as normalised digits, must start with one of these. */
  readonly simPrefixes: readonly string[] | null;
  /** An event that is older than this when it is decided buys nothing: the world has moved on. */
  readonly maxEventAge: DurationMs;
}

/** What of a rule says whether it speaks for an event at all, whatever the event's age and its SIM's state. */
export interface MatchRule {
  readonly ruleId: string;
  readonly provider: ProviderId;
  readonly when: Omit<Condition, 'maxEventAge'>;
}

/** The same of everything that the operator decided. */
export interface MatchPolicy {
  readonly version: string;
  readonly rules: readonly MatchRule[];
}

/** Operator's policy: when this kind of event, under these guards, do that action. */
export interface Rule {
  readonly ruleId: string;
  readonly provider: ProviderId;
  readonly enabled: boolean;
  readonly when: Condition;
  readonly action: ActionKind;
  readonly plan: { readonly [key: string]: Json };
  /** The most that one action may cost; reserved before each call. */
  readonly maxCost: Money;
  /** What happens when the provider names no price before the call: `maxCost` is trusted, or a human is asked. */
  readonly unknownPrice: 'allow' | 'park';
  /** After this rule acted for a SIM, it does not act for it again for so long. */
  readonly cooldown: DurationMs;
  /** True: each action waits for a human's approval. */
  readonly approval: boolean;
  readonly caps: PeriodCaps;
  /** Most SIMs whose actions leave in one provider call; 1 lets each go by itself. */
  readonly simsPerCall: number;
}

/** Most that may be spent or reserved, in minor units of the provider's currency; null is no cap. */
export interface PeriodCaps {
  readonly dayMinor: number | null;
  readonly monthMinor: number | null;
}

/** Limits that hold for all rules of one provider. */
export interface ProviderPolicy {
  readonly provider: ProviderId;
  readonly currency: string;
  readonly simCaps: PeriodCaps;
  readonly caps: PeriodCaps;
  /** More purchases for one SIM within the window than this are held for a human. */
  readonly simVelocity: { readonly max: number; readonly window: DurationMs };
  /** More purchases at the provider within a clock hour than this wait for the next one. */
  readonly purchasesPerHour: number;
  /** Refusals in a row that stop the provider's paid actions. */
  readonly refusalsInARow: number;
}

/** Everything the operator decided, with a digest as its version. */
export interface Policy {
  readonly version: string;
  readonly rules: readonly Rule[];
  readonly providers: readonly ProviderPolicy[];
}

export function providerPolicyOf(policy: Policy, provider: ProviderId): ProviderPolicy | null {
  return policy.providers.find((p) => p.provider === provider) ?? null;
}
