import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decide } from '../../../shared/core/decide.ts';
import { decideUnmatched } from '../../../shared/core/no-match.ts';
import type { Rule } from '../../../shared/core/policy.ts';
import type { SimState } from '../../../shared/core/sim-state.ts';
import { after, before, days, hours, milliseconds, minutes } from '../../../shared/core/time.ts';
import {
  type EventFacts,
  eventKinds,
  isEffectOfPurchase,
  orderOf,
  orderStatuses,
  planWarnings,
  usageAlerts,
  type WebhookEvent,
} from '../../../shared/core/webhook-event.ts';
import { digest, event, lowData, noOrder, noon, policy, rule, sim, subject } from './samples.ts';

const asked = (facts: Partial<WebhookEvent>, ...rules: readonly Rule[]) =>
  decideUnmatched(event(facts), policy(rules), noon);

const moved: EventFacts = { kind: 'sim-moved' };
const alert = { kind: 'usage-alert', alert: 'low-data', value: '98.5', order: noOrder } as const;

describe('an event that no rule can match', () => {
  it('is decided by itself, with one verdict per rule of its provider and none of another', () => {
    const others = rule({ ruleId: 'of-another', provider: 'linksfield-csss' });
    expect(asked({ facts: moved }, rule(), rule({ ruleId: 'second' }), others)).toEqual({
      policyVersion: 'policy-1',
      decidedAt: noon,
      ownActionId: null,
      verdicts: [
        { ruleId: 'renew-low-data', verdict: 'pass', reason: 'no-match', detail: 'kind is sim-moved' },
        { ruleId: 'second', verdict: 'pass', reason: 'no-match', detail: 'kind is sim-moved' },
      ],
    });
  });

  it('may be one whose provider has no rule at all', () => {
    expect(asked({ facts: lowData })?.verdicts).toEqual([]);
    expect(asked({ facts: lowData }, rule({ provider: 'linksfield-csss' }))?.verdicts).toEqual([]);
  });

  it.each<[string, Partial<WebhookEvent>, Partial<Rule['when']>]>([
    ['another alert', {}, { alerts: ['expiring'] }],
    ['another package', {}, { packageCodes: ['PKG001'] }],
    ['a SIM with another prefix', {}, { simPrefixes: ['8986'] }],
    ['a notification that nobody knows', { facts: { kind: 'unknown' } }, {}],
    ['an alert that nobody knows', { facts: { ...alert, alert: 'unknown' } }, {}],
    ['one without a signature', { facts: moved, proof: { kind: 'unsigned', why: 'none sent' } }, {}],
    ['one without a SIM', { facts: moved, subject: null }, {}],
  ])('may be %s', (_what, changes, when) => {
    expect(asked(changes, rule({}, when))?.verdicts).toMatchObject([{ reason: 'no-match' }]);
  });
});

describe('an event that decide must look at', () => {
  it('is one that a rule matches, be it switched off, and be the event too old', () => {
    expect(asked({}, rule())).toBeNull();
    expect(asked({}, rule({ enabled: false }))).toBeNull();
    expect(asked({ occurredAt: before(noon, days(9)) }, rule())).toBeNull();
    expect(asked({ subject: null }, rule())).toBeNull();
    expect(asked({ facts: lowData }, rule({}, { alerts: ['expiring'] }), rule())).toBeNull();
  });

  it.each<[string, EventFacts]>([
    ['names an order', { ...alert, order: { ...noOrder, orderId: '105329174' } }],
    ['names a reference', { ...alert, order: { ...noOrder, reference: '0'.repeat(32) } }],
    ['tells that a package was ordered', { kind: 'package-ordered', order: noOrder }],
    ['tells of a refund', { kind: 'refund', order: noOrder, refunded: null, refundedText: null }],
    [
      'tells what became of a request',
      { kind: 'async-result', requestId: null, operation: null, result: null },
    ],
    ['tells that an order began', { kind: 'order-status', status: 'started', order: noOrder }],
    ['tells that an order ended', { kind: 'order-status', status: 'expired', order: noOrder }],
    ['tells that a package stopped', { kind: 'package-stopped', order: noOrder }],
  ])('is one that %s, though no rule matches it', (_what, facts) => {
    expect(asked({ facts }, rule({}, { kind: 'card-stopped' }))).toBeNull();
  });
});

const text = fc.constantFrom('PKG001', 'PKG002', '105329174', '');
const order = fc.record({
  orderId: fc.option(text),
  reference: fc.option(text),
  packageCode: fc.option(text),
});
const someOrder = fc.oneof(fc.constant(noOrder), order);

const facts: fc.Arbitrary<EventFacts> = fc.oneof(
  fc.record({
    kind: fc.constant('usage-alert' as const),
    alert: fc.constantFrom(...usageAlerts),
    value: fc.constant('9'),
    order: someOrder,
  }),
  fc.record({
    kind: fc.constant('order-status' as const),
    status: fc.constantFrom(...orderStatuses),
    order: someOrder,
  }),
  fc.record({
    kind: fc.constant('plan-reminder' as const),
    warning: fc.constantFrom(...planWarnings),
    expiresAt: fc.constant(null),
  }),
  fc.record({
    kind: fc.constantFrom(
      'package-ordered' as const,
      'package-effective' as const,
      'package-stopped' as const,
    ),
    order: someOrder,
  }),
  fc.record({
    kind: fc.constantFrom(
      'card-stopped' as const,
      'sim-unlocked' as const,
      'sim-moved' as const,
      'sms-delivered' as const,
      'unknown' as const,
    ),
  }),
  fc.record({ kind: fc.constant('recharge' as const), order: someOrder }),
  fc.record({ kind: fc.constant('sim-status' as const), status: fc.constant('online') }),
);

const someOf = <T>(values: readonly T[]) => fc.option(fc.subarray([...values], { minLength: 1 }));
const when: fc.Arbitrary<Rule['when']> = fc.record({
  kind: fc.constantFrom(...eventKinds),
  alerts: someOf(usageAlerts),
  statuses: someOf(orderStatuses),
  warnings: someOf(planWarnings),
  packageCodes: someOf(['PKG001', 'PKG002']),
  simPrefixes: someOf(['8985', '8986']),
  maxEventAge: fc.constantFrom(hours(1), hours(72)),
});
const rules: fc.Arbitrary<readonly Rule[]> = fc
  .array(
    fc.record({ provider: fc.constantFrom('eiotclub', 'linksfield-csss'), enabled: fc.boolean(), when }),
    { maxLength: 4 },
  )
  .map((list) => list.map(({ when: its, ...rest }, i) => rule({ ...rest, ruleId: `rule-${i}` }, its)));

const simStates: fc.Arbitrary<SimState> = fc
  .record({ openActionId: fc.option(fc.constant('act_1')), cools: fc.boolean(), settled: fc.boolean() })
  .map(({ openActionId, cools, settled }) => ({
    ...sim(),
    openActionId,
    cooldowns: cools ? { 'rule-0': after(noon, days(20)) } : {},
    lastSettledAt: settled ? noon : null,
  }));

const cases = fc.record({
  facts,
  subject: fc.option(fc.constant(subject())),
  rules,
  sim: simStates,
  lateMs: fc.constantFrom(0, minutes(30), days(9)),
});

describe('a decision without a look at the SIM', () => {
  it('is the one that decide makes, in whatever state the SIM is and however late it comes', () => {
    let decidedHere = 0;
    fc.assert(
      fc.property(cases, ({ facts: its, subject: whose, rules: list, sim: state, lateMs }) => {
        const judged = event({ facts: its, subject: whose });
        const now = after(noon, milliseconds(lateMs));
        const rulesNow = policy(list);
        const whole = decide({
          event: judged,
          policy: rulesNow,
          sim: whose === null ? null : state,
          ownActionId: null,
          now,
          digest,
          generation: 1,
          existingActionIds: new Set(),
        });
        const short = decideUnmatched(judged, rulesNow, now);
        const named = orderOf(its);
        const isPlain =
          !isEffectOfPurchase(its) &&
          !(named !== null && (named.orderId !== null || named.reference !== null)) &&
          whole.decision.verdicts.every((v) => v.verdict === 'pass' && v.reason === 'no-match');
        if (short === null) {
          // Whatever takes the long way does so for a reason; an order's end is one of its own.
          const tellsEnd =
            its.kind === 'package-stopped' ||
            (its.kind === 'order-status' && ['expired', 'ended-early'].includes(its.status));
          expect(isPlain && !tellsEnd).toBe(false);
          return;
        }
        decidedHere += 1;
        expect(isPlain).toBe(true);
        expect(short).toEqual(whole.decision);
        expect(whole).toMatchObject({ actions: [], sim: null });
      }),
      { numRuns: 1_000, seed: 29 },
    );
    expect(decidedHere).toBeGreaterThan(100);
  });
});
