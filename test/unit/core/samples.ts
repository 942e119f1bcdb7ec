import { createHash } from 'node:crypto';
import type { Action } from '../../../shared/core/action.ts';
import { type Decided, type DecideInput, decide } from '../../../shared/core/decide.ts';
import type { ProviderTiming } from '../../../shared/core/lifecycle.ts';
import { type Money, money } from '../../../shared/core/money.ts';
import type { Policy, ProviderPolicy, Rule } from '../../../shared/core/policy.ts';
import { emptySimState, type SimState } from '../../../shared/core/sim-state.ts';
import { type Subject, subjectOf } from '../../../shared/core/subject.ts';
import { days, type EpochMs, epochMs, hours, minutes, seconds } from '../../../shared/core/time.ts';
import type { EventFacts, WebhookEvent } from '../../../shared/core/webhook-event.ts';

/** Wednesday, 2026-01-14 12:00:00 UTC: in the middle of a day and of a month. */
export const noon: EpochMs = epochMs(Date.UTC(2026, 0, 14, 12));

export const usd = (minor: number): Money => money(minor, 'USD');

export const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

export function subject(iccid = '89852000263320817044'): Subject {
  const made = subjectOf('eiotclub', 'iccid', iccid);
  if (made === null) throw new Error(`${iccid} is no ICCID`);
  return made;
}

export const noOrder = { orderId: null, reference: null, packageCode: null } as const;

export const lowData: EventFacts = { kind: 'usage-alert', alert: 'low-data', value: '98.5', order: noOrder };

export function event(changes: Partial<WebhookEvent> = {}): WebhookEvent {
  return {
    eventId: `evt_${'0'.repeat(31)}1`,
    provider: 'eiotclub',
    providerType: 'FlowAlert',
    facts: lowData,
    subject: subject(),
    proof: { kind: 'signed', scheme: 'eiotclub', variant: 'raw-text' },
    occurredAt: noon,
    receivedAt: noon,
    correlationId: 'cor_0000000000000001',
    callbackId: 'cbk_1',
    ...changes,
  };
}

export function rule(changes: Partial<Rule> = {}, when: Partial<Rule['when']> = {}): Rule {
  return {
    ruleId: 'renew-low-data',
    provider: 'eiotclub',
    enabled: true,
    when: {
      kind: 'usage-alert',
      alerts: null,
      statuses: null,
      warnings: null,
      packageCodes: null,
      simPrefixes: null,
      maxEventAge: hours(72),
      ...when,
    },
    action: 'renew',
    plan: { packageCode: 'PKG001' },
    unknownPrice: 'allow',
    maxCost: usd(500),
    cooldown: hours(12),
    approval: false,
    caps: { dayMinor: null, monthMinor: null },
    simsPerCall: 1,
    ...changes,
  };
}

export function providerPolicy(changes: Partial<ProviderPolicy> = {}): ProviderPolicy {
  return {
    provider: 'eiotclub',
    currency: 'USD',
    simCaps: { dayMinor: null, monthMinor: null },
    caps: { dayMinor: null, monthMinor: null },
    simVelocity: { max: 3, window: days(1) },
    purchasesPerHour: 1_000,
    refusalsInARow: 5,
    ...changes,
  };
}

export function policy(rules: readonly Rule[] = [rule()], providers = [providerPolicy()]): Policy {
  return { version: 'policy-1', rules, providers };
}

export function sim(changes: Partial<SimState> = {}): SimState {
  return { ...emptySimState(subject().key), ...changes };
}

export function given(changes: Partial<DecideInput> = {}): DecideInput {
  return {
    event: event(),
    policy: policy(),
    sim: sim(),
    ownActionId: null,
    now: noon,
    digest,
    generation: 1,
    existingActionIds: new Set(),
    ...changes,
  };
}

/** The action and the locked SIM of a decision that acts. */
export function decidedAction(changes: Partial<DecideInput> = {}): {
  readonly decided: Decided;
  readonly action: Action;
  readonly sim: SimState;
} {
  const decided = decide(given(changes));
  const [action] = decided.actions;
  if (action === undefined || decided.sim === null) {
    throw new Error(`the sample does not act: ${JSON.stringify(decided.decision.verdicts)}`);
  }
  return { decided, action, sim: decided.sim };
}

export const lease = { duration: seconds(90), startWithin: seconds(10) } as const;

export const timing: ProviderTiming = {
  callTimeout: seconds(15),
  lateCommit: minutes(10),
  clockSkew: minutes(5),
};
