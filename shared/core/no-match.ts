import type { Decision, PassReason, RuleVerdict } from './decide.ts';
import { phaseToldBy } from './order-end.ts';
import type { Condition, MatchPolicy, MatchRule } from './policy.ts';
import type { EpochMs } from './time.ts';
import { isEffectOfPurchase, orderOf, type WebhookEvent } from './webhook-event.ts';

/** Why a rule passes, for a human. */
export interface Pass {
  readonly reason: PassReason;
  readonly detail: string;
}

/** What of an event no rule's condition can do without: the rest of a condition is about time. */
type What = Pick<WebhookEvent, 'facts' | 'subject'>;

/** Says what of a rule's condition an event does not meet; null when it meets all of it, whatever its age. */
export function noMatch(rule: MatchRule, event: What): Pass | null {
  const detail = mismatchOf(rule.when, event);
  return detail === null ? null : { reason: 'no-match', detail };
}

export function passVerdict(rule: MatchRule, pass: Pass): RuleVerdict {
  return { ruleId: rule.ruleId, verdict: 'pass', reason: pass.reason, detail: pass.detail };
}

/**
 * The decision on an event that no rule can match, made without looking at its SIM: what `decide` would say of it at
 * any time and in any state of the SIM (D29). Null for every other event, and for each that decide does more with than
 * judge it: one that names an order, or may be the effect of a purchase, or tells of an order's end.
 */
export function decideUnmatched(event: WebhookEvent, policy: MatchPolicy, now: EpochMs): Decision | null {
  if (mayConcernOrder(event)) return null;
  const verdicts: RuleVerdict[] = [];
  for (const rule of policy.rules) {
    if (rule.provider !== event.provider) continue;
    const pass = noMatch(rule, event);
    if (pass === null) return null;
    verdicts.push(passVerdict(rule, pass));
  }
  return { policyVersion: policy.version, decidedAt: now, ownActionId: null, verdicts };
}

function mayConcernOrder({ facts }: WebhookEvent): boolean {
  const order = orderOf(facts);
  const isNamed = order !== null && (order.orderId !== null || order.reference !== null);
  return isNamed || isEffectOfPurchase(facts) || phaseToldBy(facts) === 'ended';
}

/** The first part of a condition that the event does not meet; null when it meets all. */
function mismatchOf(when: Omit<Condition, 'maxEventAge'>, event: What): string | null {
  const { facts } = event;
  if (facts.kind === 'unknown') return 'unknown notifications are never acted on';
  if (facts.kind !== when.kind) return `kind is ${facts.kind}`;
  if (facts.kind === 'usage-alert' && !allows(when.alerts, facts.alert)) return `alert is ${facts.alert}`;
  if (facts.kind === 'order-status' && !allows(when.statuses, facts.status))
    return `status is ${facts.status}`;
  if (facts.kind === 'plan-reminder' && !allows(when.warnings, facts.warning))
    return `warning is ${facts.warning}`;
  const packageCode = orderOf(facts)?.packageCode ?? null;
  if (when.packageCodes !== null && (packageCode === null || !when.packageCodes.includes(packageCode))) {
    return `package is ${packageCode ?? 'not named'}`;
  }
  const digits = event.subject?.simId ?? '';
  if (when.simPrefixes !== null && !when.simPrefixes.some((prefix) => digits.startsWith(prefix))) {
    return 'the SIM has none of the prefixes';
  }
  return null;
}

/** A value outside our vocabulary (`unknown`) passes no list, and an absent list never lets it through either. */
function allows<T extends string>(list: readonly T[] | null, value: T): boolean {
  return value !== 'unknown' && (list === null || list.includes(value));
}
