import { describe, expect, it } from 'vitest';
import { actionIdFor, decide } from '../../../shared/core/decide.ts';
import { after, before, hours, minutes } from '../../../shared/core/time.ts';
import {
  type EventFacts,
  type EventKind,
  eventKinds,
  isEffectOfPurchase,
  type OrderStatus,
  orderStatuses,
} from '../../../shared/core/webhook-event.ts';
import { decidedAction, digest, event, given, noOrder, noon, policy, rule, sim } from './samples.ts';

type Pass = { readonly reason: string; readonly detail: string };

/** The reason for which the only rule passes. */
function passOf(input: ReturnType<typeof given>): Pass {
  const decided = decide(input);
  expect(decided.actions).toEqual([]);
  expect(decided.sim).toBeNull();
  const [verdict] = decided.decision.verdicts;
  if (verdict?.verdict !== 'pass') throw new Error(`the rule acts: ${JSON.stringify(verdict)}`);
  return verdict;
}

const withFacts = (facts: EventFacts, when: Parameters<typeof rule>[1]) =>
  given({ event: event({ facts }), policy: policy([rule({}, when)]) });

const orderStatus = (status: OrderStatus, packageCode: string | null = null): EventFacts => ({
  kind: 'order-status',
  status,
  order: { orderId: 'ORDER_1', reference: null, packageCode },
});

describe('a rule that acts', () => {
  it('plans one action with everything fixed that a later attempt needs', () => {
    const { action, decided } = decidedAction({
      event: event({ facts: orderStatus('expired', 'PKG001') }),
      policy: policy([rule({}, { kind: 'order-status' })]),
    });
    expect(action).toMatchObject({
      kind: 'renew',
      plan: { packageCode: 'PKG001' },
      targetOrderId: 'ORDER_1',
      ruleId: 'renew-low-data',
      policyVersion: 'policy-1',
      generation: 1,
      createdAt: noon,
      state: { name: 'planned', dueAt: noon },
      needsConfirmation: false,
      money: { currency: 'USD', reservedMinor: 0, chargedMinor: 0, refundedMinor: 0 },
      ledger: [],
    });
    expect(action.actionId).toMatch(/^act_[0-9a-f]{32}$/);
    expect(action.reference).toBe(action.actionId.slice(4));
    expect(decided.decision).toMatchObject({ policyVersion: 'policy-1', decidedAt: noon });
  });

  it('locks the SIM and starts the cool-down of the rule', () => {
    const { sim: locked, action } = decidedAction({
      sim: sim({ cooldowns: { old: before(noon, hours(1)) } }),
    });
    expect(locked.openActionId).toBe(action.actionId);
    expect(locked.cooldowns).toEqual({ 'renew-low-data': after(noon, hours(12)) });
  });

  it('makes the same action id of the same cause, and another one of another event, rule or generation', () => {
    const ids = [
      actionIdFor(rule(), { event: event(), generation: 1, digest }),
      actionIdFor(rule(), { event: event(), generation: 2, digest }),
      actionIdFor(rule(), { event: event({ eventId: 'evt_2' }), generation: 1, digest }),
      actionIdFor(rule({ ruleId: 'other' }), { event: event(), generation: 1, digest }),
    ];
    expect(new Set(ids).size).toBe(4);
    expect(actionIdFor(rule({ cooldown: hours(1) }), { event: event(), generation: 1, digest })).toBe(ids[0]);
  });

  it('holds the action for approval where the rule asks for it', () => {
    expect(decidedAction({ policy: policy([rule({ approval: true })]) }).action.state.name).toBe('held');
  });

  it('asks the provider first where the event is not signed, and only there', () => {
    const needs = (proof: Parameters<typeof event>[0]) =>
      decidedAction({ event: event(proof) }).action.needsConfirmation;
    expect(needs({ proof: { kind: 'unsigned', why: 'no signature' } })).toBe(true);
    expect(needs({ proof: { kind: 'reconciled', source: 'records' } })).toBe(false);
    expect(needs({})).toBe(false);
  });
});

describe('a rule that passes', () => {
  it('says "disabled" when it is switched off, but "no-match" when it would not have matched anyway', () => {
    expect(passOf(given({ policy: policy([rule({ enabled: false })]) }))).toMatchObject({
      reason: 'disabled',
    });
    const other = rule({ enabled: false }, { kind: 'card-stopped' });
    expect(passOf(given({ policy: policy([other]) }))).toMatchObject({ reason: 'no-match' });
  });

  it.each([
    ['the kind', orderStatus('expired'), {}, 'kind is order-status'],
    [
      'the alert',
      { kind: 'usage-alert', alert: 'expiring', value: null, order: noOrder },
      { alerts: ['low-data'] },
      'alert is expiring',
    ],
    [
      'the status',
      orderStatus('paused'),
      { kind: 'order-status', statuses: ['expired'] },
      'status is paused',
    ],
    [
      'the warning',
      { kind: 'plan-reminder', warning: 'expiring', expiresAt: null },
      { kind: 'plan-reminder', warnings: ['no-plan'] },
      'warning is expiring',
    ],
    [
      'the package',
      orderStatus('expired', 'PKG9'),
      { kind: 'order-status', packageCodes: ['PKG1'] },
      'package is PKG9',
    ],
    [
      'a package that is not named',
      orderStatus('expired'),
      { kind: 'order-status', packageCodes: ['PKG1'] },
      'package is not named',
    ],
    [
      'the prefix of the SIM',
      undefined,
      { simPrefixes: ['8910', '8911'] },
      'the SIM has none of the prefixes',
    ],
  ] as const)('says "no-match" and why for %s', (_what, facts, when, detail) => {
    const input = withFacts(facts ?? event().facts, when as Parameters<typeof rule>[1]);
    expect(passOf(input)).toMatchObject({ reason: 'no-match', detail });
  });

  it('acts when each filter that is given holds the value of the event', () => {
    const input = withFacts(orderStatus('expired', 'PKG1'), {
      kind: 'order-status',
      statuses: ['paused', 'expired'],
      packageCodes: ['PKG2', 'PKG1'],
      simPrefixes: ['8910', '898520'],
    });
    expect(decide(input).actions).toHaveLength(1);
  });

  it('never lets an unknown value match, with a list or without one', () => {
    const unknowns: readonly (readonly [EventFacts, EventKind])[] = [
      [{ kind: 'usage-alert', alert: 'unknown', value: null, order: noOrder }, 'usage-alert'],
      [orderStatus('unknown'), 'order-status'],
      [{ kind: 'plan-reminder', warning: 'unknown', expiresAt: null }, 'plan-reminder'],
      [{ kind: 'unknown' }, 'unknown'],
    ];
    for (const [facts, kind] of unknowns) {
      for (const lists of [
        {},
        { alerts: ['unknown'], statuses: ['unknown'], warnings: ['unknown'] },
      ] as const) {
        expect(passOf(withFacts(facts, { kind, ...lists }))).toMatchObject({ reason: 'no-match' });
      }
    }
  });

  it('says "too-old" one millisecond after the age that the rule bears, by the time of the fact where it has one', () => {
    const aged = (occurredAt: typeof noon | null, receivedAt: typeof noon) =>
      given({ event: event({ occurredAt, receivedAt }) });
    const edge = before(noon, hours(72));
    const over = before(noon, (hours(72) + 1) as ReturnType<typeof hours>);
    expect(decide(aged(edge, noon)).actions).toHaveLength(1);
    expect(passOf(aged(over, noon))).toMatchObject({ reason: 'too-old' });
    expect(decide(aged(null, edge)).actions).toHaveLength(1);
    expect(passOf(aged(null, over))).toMatchObject({ reason: 'too-old' });
    expect(decide(aged(after(noon, minutes(5)), noon)).actions).toHaveLength(1);
  });

  it('says "no-sim" for an event that names none', () => {
    expect(passOf(given({ event: event({ subject: null }), sim: null }))).toMatchObject({ reason: 'no-sim' });
  });

  it('says "cooling-down" until the very moment at which the cool-down ends', () => {
    const cooling = (until: typeof noon) => given({ sim: sim({ cooldowns: { 'renew-low-data': until } }) });
    expect(passOf(cooling(after(noon, minutes(1))))).toMatchObject({
      reason: 'cooling-down',
      detail: 'until 2026-01-14T12:01:00.000Z',
    });
    expect(decide(cooling(noon)).actions).toHaveLength(1);
  });

  it('says "sim-has-open-action" and which', () => {
    const input = given({ sim: sim({ openActionId: 'act_other' }) });
    expect(passOf(input)).toMatchObject({ reason: 'sim-has-open-action', detail: 'act_other' });
  });

  it('says "already-decided" for an action that exists, so that a replay buys nothing', () => {
    const first = decidedAction().action;
    const replay = given({ existingActionIds: new Set([first.actionId]) });
    expect(passOf(replay)).toMatchObject({ reason: 'already-decided', detail: first.actionId });
    expect(decide({ ...replay, generation: 2 }).actions).toHaveLength(1);
  });

  it('is not asked at all when it belongs to another provider', () => {
    const decided = decide(given({ policy: policy([rule({ provider: 'linksfield-csss' })]) }));
    expect(decided.decision.verdicts).toEqual([]);
  });
});

describe('one need, one purchase', () => {
  it('lets the first rule that acts lock the SIM, so that the others pass', () => {
    const rules = ['off', 'first', 'second'].map((ruleId) => rule({ ruleId, enabled: ruleId !== 'off' }));
    const decided = decide(given({ policy: policy(rules) }));
    expect(decided.actions).toHaveLength(1);
    expect(decided.decision.verdicts).toMatchObject([
      { ruleId: 'off', reason: 'disabled' },
      { ruleId: 'first', verdict: 'act' },
      { ruleId: 'second', reason: 'sim-has-open-action', detail: decided.actions[0]?.actionId },
    ]);
  });

  it('makes one renewal of 75 %, 90 % and "1 day left", in any order, before and after it is bought', () => {
    const alerts = ['low-data-percent', 'low-data', 'expiring'] as const;
    const rules = alerts.map((alert) => rule({ ruleId: `on-${alert}` }, { alerts: [alert] }));
    for (const shared of [true, false]) {
      let state = sim();
      let bought = 0;
      for (const [i, alert] of alerts.entries()) {
        const facts: EventFacts = { kind: 'usage-alert', alert, value: String(i), order: noOrder };
        const decided = decide(
          given({
            event: event({ eventId: `evt_${i}`, facts }),
            policy: policy(shared ? [rule()] : rules),
            sim: state,
          }),
        );
        bought += decided.actions.length;
        // With one rule the first action is over already: the cool-down alone has to hold the others back.
        state = { ...(decided.sim ?? state), ...(shared ? { openActionId: null } : {}) };
      }
      expect(bought).toBe(1);
    }
  });
});

describe('the echo of our own purchase', () => {
  const echo: EventFacts = { kind: 'package-ordered', order: noOrder };
  const onEcho = policy([rule({}, { kind: 'package-ordered' })]);

  it('never spends when the event reports on an action of ours', () => {
    const input = given({ event: event({ facts: echo }), policy: onEcho, ownActionId: 'act_ours' });
    expect(passOf(input)).toMatchObject({ reason: 'own-purchase', detail: 'it reports on act_ours' });
    expect(decide(input).decision.ownActionId).toBe('act_ours');
  });

  it('never spends within the hour after a purchase for this SIM, since the order number may be lost', () => {
    const settled = (ago: number) =>
      given({
        event: event({ facts: echo }),
        policy: onEcho,
        sim: sim({ lastSettledAt: before(noon, minutes(ago)) }),
      });
    expect(passOf(settled(60))).toMatchObject({ reason: 'own-purchase' });
    expect(decide(settled(61)).actions).toHaveLength(1);
  });

  it('does not silence an alert, which no purchase causes', () => {
    const input = given({ ownActionId: 'act_ours', sim: sim({ lastSettledAt: noon }) });
    expect(decide(input).actions).toHaveLength(1);
  });

  it('takes each kind and status for an effect or not, as listed here', () => {
    const effects = new Set(['package-ordered', 'package-effective', 'recharge', 'refund', 'async-result']);
    for (const kind of eventKinds.filter((k) => k !== 'order-status')) {
      expect([kind, isEffectOfPurchase({ kind, order: noOrder } as unknown as EventFacts)]).toEqual([
        kind,
        effects.has(kind),
      ]);
    }
    const causes = orderStatuses.filter((status) => !isEffectOfPurchase(orderStatus(status)));
    expect(causes).toEqual(['ended-early', 'expired']);
  });
});
