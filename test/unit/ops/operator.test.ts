import { describe, expect, it } from 'vitest';
import type { Action, ActionState } from '../../../shared/core/action.ts';
import { healthy, noStops } from '../../../shared/core/controls.ts';
import {
  absenceProvenAt,
  claim,
  judgeReadiness,
  park,
  type SettleInput,
  sumLedger,
} from '../../../shared/core/lifecycle.ts';
import { money } from '../../../shared/core/money.ts';
import {
  approve,
  cancel,
  type OperatorVerdict,
  resolveBought,
  resolveNotBought,
  retry,
} from '../../../shared/core/operator.ts';
import { after, days, epochMs, hours, minutes } from '../../../shared/core/time.ts';
import { decidedAction, lease, noon, providerPolicy, rule, timing, usd } from '../core/samples.ts';

/** An action as decided, brought into a state, with its SIM. */
function given(state: ActionState, changes: Partial<Action> = {}): SettleInput {
  const { action, sim } = decidedAction();
  return {
    action: { ...action, ...changes, state },
    sim,
    rule: rule(),
    now: after(noon, minutes(1)),
    jitter: 0,
  };
}

/** An action that was claimed and then parked. */
function parked(mayHaveBought: boolean): SettleInput {
  const { action, sim } = decidedAction();
  const claimed = claim(action, sim, lease, noon);
  const input = {
    action: claimed.action,
    sim: claimed.sim,
    rule: rule(),
    now: after(noon, hours(1)),
    jitter: 0,
  };
  const stopped = park(
    input,
    mayHaveBought ? 'cannot-verify' : 'attempts-exhausted',
    'a sample',
    mayHaveBought,
  );
  return { ...input, action: stopped.action, sim: stopped.sim };
}

function transitionOf(verdict: OperatorVerdict) {
  if (!verdict.ok) throw new Error(`refused: ${verdict.reason}, ${verdict.detail}`);
  return verdict.transition;
}

const later = after(noon, minutes(5));
const states: Readonly<Record<ActionState['name'], ActionState>> = {
  planned: { name: 'planned', dueAt: later },
  held: { name: 'held', reason: 'the rule asks for approval' },
  running: { name: 'running', leaseUntil: later, startedAt: noon },
  unknown: { name: 'unknown', code: 'timeout', verifyAt: later },
  verifying: { name: 'verifying', leaseUntil: later, code: 'timeout' },
  parked: { name: 'parked', reason: 'cannot-verify', detail: '', mayHaveBought: true },
  succeeded: { name: 'succeeded', providerOrderId: '1', adopted: false },
  refused: { name: 'refused', code: '1', message: '' },
  cancelled: { name: 'cancelled', reason: '' },
};
const namesBut = (...names: readonly ActionState['name'][]) =>
  Object.values(states).filter(({ name }) => !names.includes(name));

describe('approve', () => {
  it('plans a held action at once', () => {
    const input = given(states.held);
    const { action, sim, cap } = transitionOf(approve(input));
    expect(action).toMatchObject({ state: { name: 'planned', dueAt: input.now }, stateSince: input.now });
    expect(sim.openActionId).toBe(action.actionId);
    expect(cap).toBeNull();
  });

  it('lets an action go that the velocity breaker held, which would otherwise hold it again', () => {
    const input = given(states.held);
    const busy = { ...input, sim: { ...input.sim, claimedAt: [noon, noon, noon] } };
    const { action, sim } = transitionOf(approve(busy));
    const ready = (of: typeof sim) =>
      judgeReadiness({
        action,
        sim: of,
        rule: rule(),
        provider: providerPolicy(),
        switches: noStops,
        health: healthy('eiotclub'),
        now: input.now,
        jitter: 0,
      }).kind;
    expect(ready(busy.sim)).toBe('hold');
    expect(ready(sim)).toBe('go');
  });

  it.each(namesBut('held'))('is refused for an action that is $name', (state) => {
    expect(approve(given(state))).toMatchObject({ ok: false, reason: 'wrong-state' });
  });

  it('is refused after three days, since the action would be parked at once', () => {
    const input = given(states.held);
    expect(approve({ ...input, now: after(noon, days(3)) })).toMatchObject({ ok: true });
    expect(approve({ ...input, now: epochMs(noon + days(3) + 1) })).toMatchObject({
      ok: false,
      reason: 'too-old',
    });
  });
});

describe('cancel', () => {
  it.each([states.planned, states.held])('ends an action that is $name and frees its SIM', (state) => {
    const { action, sim } = transitionOf(cancel(given(state), 'not wanted'));
    expect(action.state).toEqual({ name: 'cancelled', reason: 'by an operator: not wanted' });
    expect(sim.openActionId).toBeNull();
    expect(sim.cooldowns).toEqual({});
  });

  it('ends a parked action that bought nothing, and leaves the lock of another one alone', () => {
    const input = parked(false);
    const { sim } = transitionOf(cancel({ ...input, sim: { ...input.sim, openActionId: 'act_other' } }, 'x'));
    expect(sim.openActionId).toBe('act_other');
  });

  it.each([states.running, states.unknown, states.verifying])(
    'is refused while a call may be under way: $name',
    (state) => {
      const verdict = cancel(given(state), 'x');
      expect(verdict).toMatchObject({ ok: false, reason: 'may-have-bought' });
      expect(verdict.ok ? '' : verdict.detail).toContain('Wait until');
    },
  );

  it('is refused for a parked action whose purchase may exist, with what to do', () => {
    const verdict = cancel(parked(true), 'x');
    expect(verdict).toMatchObject({ ok: false, reason: 'may-have-bought' });
    expect(verdict.ok ? '' : verdict.detail).toContain('resolve it as bought');
  });

  it.each([states.succeeded, states.refused, states.cancelled])(
    'is refused once it is over: $name',
    (state) => {
      expect(cancel(given(state), 'x')).toMatchObject({ ok: false, reason: 'wrong-state' });
    },
  );
});

describe('retry', () => {
  it('plans a parked action anew, with its tries counted from 0, under its SIM lock', () => {
    const input = parked(false);
    expect(input.sim.openActionId).toBeNull();
    const burned = { ...input, action: { ...input.action, attemptsBurned: 6 } };
    const { action, sim } = transitionOf(retry(burned));
    expect(action).toMatchObject({
      state: { name: 'planned', dueAt: input.now },
      attemptsBurned: 0,
      attempts: 1,
    });
    expect(sim.openActionId).toBe(action.actionId);
  });

  it('is refused while its purchase may exist: it could buy twice', () => {
    const verdict = retry(parked(true));
    expect(verdict).toMatchObject({ ok: false, reason: 'may-have-bought' });
    expect(verdict.ok ? '' : verdict.detail).toContain("provider's own records");
  });

  it('is refused while another action holds the SIM', () => {
    const input = parked(false);
    const verdict = retry({ ...input, sim: { ...input.sim, openActionId: 'act_other' } });
    expect(verdict).toMatchObject({ ok: false, reason: 'sim-busy' });
    expect(verdict.ok ? '' : verdict.detail).toContain('act_other');
  });

  it('is refused after three days', () => {
    expect(retry({ ...parked(false), now: after(noon, days(4)) })).toMatchObject({
      ok: false,
      reason: 'too-old',
    });
  });

  it.each(namesBut('parked'))('is refused for an action that is $name', (state) => {
    expect(retry(given(state))).toMatchObject({ ok: false, reason: 'wrong-state' });
  });
});

describe('resolve as bought', () => {
  it('adopts the order, turns the reservation into the charge, and corrects the caps', () => {
    const input = parked(true);
    expect(input.action.money.reservedMinor).toBe(500);
    const { action, sim, cap } = transitionOf(
      resolveBought(input, { providerOrderId: 'O1', charge: usd(450) }, timing),
    );
    expect(action.state).toEqual({ name: 'succeeded', providerOrderId: 'O1', adopted: true });
    expect(action.money).toMatchObject({ reservedMinor: 0, chargedMinor: 450 });
    expect(sumLedger(action.ledger, 'USD')).toEqual(action.money);
    expect(cap?.deltaMinor).toBe(-50);
    expect(sim).toMatchObject({ openActionId: null, lastSettledAt: input.now });
  });

  it('books the most that it may have cost, as an estimate, when no charge is named', () => {
    const { action } = transitionOf(
      resolveBought(parked(true), { providerOrderId: 'O1', charge: null }, timing),
    );
    expect(action.ledger.at(-1)).toMatchObject({ kind: 'charged', estimated: true, amount: usd(500) });
  });

  it('is refused for a charge in another currency', () => {
    const verdict = resolveBought(parked(true), { providerOrderId: 'O1', charge: money(500, 'CNY') }, timing);
    expect(verdict).toMatchObject({ ok: false, reason: 'wrong-currency' });
  });

  it('is refused for a parked action that certainly bought nothing, and in every other state', () => {
    const claimed = { providerOrderId: 'O1', charge: null };
    expect(resolveBought(parked(false), claimed, timing)).toMatchObject({ ok: false, reason: 'wrong-state' });
    for (const state of namesBut('parked')) {
      expect(resolveBought(given(state), claimed, timing)).toMatchObject({
        ok: false,
        reason: 'wrong-state',
      });
    }
  });
});

describe('resolve as not bought', () => {
  it('gives the reservation back, frees the SIM, and leaves the action to be retried or cancelled', () => {
    const input = parked(true);
    const transition = transitionOf(resolveNotBought(input, 'no such order', timing));
    expect(transition.action.state).toMatchObject({
      name: 'parked',
      reason: 'operator',
      mayHaveBought: false,
    });
    expect(transition.action.money.reservedMinor).toBe(0);
    expect(transition.cap?.deltaMinor).toBe(-500);
    expect(transition.sim.openActionId).toBeNull();
    const next = { ...input, action: transition.action, sim: transition.sim };
    expect(retry(next)).toMatchObject({ ok: true });
    expect(cancel(next, 'x')).toMatchObject({ ok: true });
  });

  it('is refused while the provider may still commit what was sent, to the millisecond', () => {
    const input = parked(true);
    const provenAt = absenceProvenAt(input.action, timing);
    expect(resolveNotBought({ ...input, now: epochMs(provenAt - 1) }, 'x', timing)).toMatchObject({
      ok: false,
      reason: 'too-early',
      detail: expect.stringContaining(new Date(provenAt).toISOString()),
    });
    expect(resolveNotBought({ ...input, now: provenAt }, 'x', timing)).toMatchObject({ ok: true });
  });

  it('is refused for anything that is not in doubt', () => {
    expect(resolveNotBought(parked(false), 'x', timing)).toMatchObject({ ok: false, reason: 'wrong-state' });
    for (const state of namesBut('parked')) {
      expect(resolveNotBought(given(state), 'x', timing)).toMatchObject({ ok: false, reason: 'wrong-state' });
    }
  });
});
