import { describe, expect, it } from 'vitest';
import type { Action, ActionState } from '../../../shared/core/action.ts';
import { actionIdFor, decide } from '../../../shared/core/decide.ts';
import { type BuyAgainInput, type BuyAgainVerdict, buyAgain } from '../../../shared/core/operator.ts';
import { after, hours, minutes } from '../../../shared/core/time.ts';
import { decidedAction, digest, event, given, noon, policy, rule, usd } from '../core/samples.ts';

const later = after(noon, minutes(5));
const over: readonly ActionState[] = [
  { name: 'succeeded', providerOrderId: 'O1', adopted: false },
  { name: 'refused', code: '1', message: '' },
  { name: 'cancelled', reason: '' },
];
const notOver: readonly ActionState[] = [
  { name: 'planned', dueAt: later },
  { name: 'held', reason: 'the rule asks for approval' },
  { name: 'running', leaseUntil: later, startedAt: noon },
  { name: 'unknown', code: 'timeout', verifyAt: later },
  { name: 'verifying', leaseUntil: later, code: 'timeout' },
];

/** An action that is over, with its SIM free and its rule cooling down. */
function wish(state: ActionState, changes: Partial<BuyAgainInput> = {}): BuyAgainInput {
  const { action, sim } = decidedAction();
  return {
    action: { ...action, state },
    sim: { ...sim, openActionId: null },
    policy: policy(),
    now: later,
    digest,
    ...changes,
  };
}

function madeBy(verdict: BuyAgainVerdict): Extract<BuyAgainVerdict, { ok: true }> {
  if (!verdict.ok) throw new Error(`refused: ${verdict.reason}, ${verdict.detail}`);
  return verdict;
}

const succeeded = over[0] ?? { name: 'cancelled', reason: '' };

describe('buy again', () => {
  it.each(over)('makes the next generation of an action that is $name', (state) => {
    const input = wish(state);
    const { action, sim } = madeBy(buyAgain(input));
    expect(action).toMatchObject({
      generation: 2,
      state: { name: 'planned', dueAt: later },
      createdAt: later,
      eventId: input.action.eventId,
      correlationId: input.action.correlationId,
      attempts: 0,
      money: { reservedMinor: 0, chargedMinor: 0 },
    });
    expect(action.actionId).toBe(actionIdFor(rule(), { event: event(), generation: 2, digest }));
    expect(action.reference).toBe(action.actionId.slice(4));
    expect(action.reference).not.toBe(input.action.reference);
    expect(sim.openActionId).toBe(action.actionId);
  });

  it('is not kept back by the cool-down, which begins anew and keeps events back', () => {
    const input = wish(succeeded);
    expect(input.sim.cooldowns['renew-low-data']).toBe(after(noon, hours(12)));
    const { sim } = madeBy(buyAgain(input));
    expect(sim.cooldowns['renew-low-data']).toBe(after(later, hours(12)));
    const next = decide(
      given({ sim: { ...sim, openActionId: null }, event: event({ eventId: 'evt_2' }), now: later }),
    );
    expect(next.decision.verdicts).toMatchObject([{ verdict: 'pass', reason: 'cooling-down' }]);
  });

  it('gives the same further action each time, and a third only of the second', () => {
    const [one, two] = [madeBy(buyAgain(wish(succeeded))), madeBy(buyAgain(wish(succeeded)))];
    expect(one.action.actionId).toBe(two.action.actionId);
    const third = madeBy(
      buyAgain(wish(succeeded, { action: { ...one.action, state: succeeded }, now: after(later, hours(1)) })),
    );
    expect(third.action).toMatchObject({ generation: 3 });
    expect(third.action.actionId).not.toBe(one.action.actionId);
  });

  it('buys what the rule says now, also where the rule asks for approval: the operator gives it', () => {
    const now = policy([rule({ approval: true, plan: { packageCode: 'PKG002' }, maxCost: usd(700) })]);
    const { action } = madeBy(buyAgain(wish(succeeded, { policy: { ...now, version: 'policy-2' } })));
    expect(action).toMatchObject({
      plan: { packageCode: 'PKG002' },
      maxCost: usd(700),
      policyVersion: 'policy-2',
      state: { name: 'planned' },
    });
  });

  it('still asks the provider to confirm a claim that came unsigned', () => {
    const input = wish(succeeded);
    const unproven: Action = { ...input.action, needsConfirmation: true };
    expect(madeBy(buyAgain({ ...input, action: unproven })).action.needsConfirmation).toBe(true);
  });

  it.each(notOver)('is refused for an action that is $name', (state) => {
    expect(buyAgain(wish(state))).toMatchObject({ ok: false, reason: 'wrong-state' });
  });

  it('is refused for a parked action: one in doubt is resolved, one that bought nothing is retried', () => {
    const parked = { name: 'parked', reason: 'cannot-verify', detail: '' } as const;
    expect(buyAgain(wish({ ...parked, mayHaveBought: true }))).toMatchObject({ reason: 'may-have-bought' });
    expect(buyAgain(wish({ ...parked, mayHaveBought: false }))).toMatchObject({
      reason: 'wrong-state',
      detail: expect.stringContaining('retry it'),
    });
  });

  it('is refused while another action holds the SIM', () => {
    const input = wish(succeeded);
    const busy = { ...input, sim: { ...input.sim, openActionId: 'act_other' } };
    expect(buyAgain(busy)).toMatchObject({
      reason: 'sim-busy',
      detail: expect.stringContaining('act_other'),
    });
  });

  it.each([
    ['is gone', []],
    ['is off', [rule({ enabled: false })]],
    ['is of another provider now', [rule({ provider: 'linksfield-csss' })]],
  ] as const)('is refused when the rule %s', (_name, rules) => {
    expect(buyAgain(wish(succeeded, { policy: policy(rules) }))).toMatchObject({ reason: 'rule-gone' });
  });
});
