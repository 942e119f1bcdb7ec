import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bookRefundOfRest,
  correctCharge,
  isChargeEstimated,
  sumLedger,
} from '../../../shared/core/lifecycle.ts';
import { money } from '../../../shared/core/money.ts';
import { utcDay, utcMonth } from '../../../shared/core/time.ts';
import { noon, usd } from '../core/samples.ts';
import { bought, lost } from './books.ts';

describe('an estimated charge', () => {
  it('gets the provider price in the place of the estimate, and the caps and the SIM get the difference', () => {
    const { action, sim } = bought('1');
    expect(action.money.chargedMinor).toBe(500);
    const corrected = correctCharge(action, sim, usd(420), noon);
    expect(corrected?.action.money).toMatchObject({ reservedMinor: 0, chargedMinor: 420 });
    expect(corrected?.action.ledger.at(-1)).toMatchObject({
      kind: 'corrected',
      amount: usd(80),
      estimated: false,
    });
    expect(corrected?.cap).toMatchObject({ deltaMinor: -80, day: utcDay(noon), ruleId: action.ruleId });
    expect(corrected?.sim.committedMinor).toEqual({ [utcDay(noon)]: 420, [utcMonth(noon)]: 420 });
  });

  it('is raised too, when more was charged than the rule allows', () => {
    const { action, sim } = bought('1');
    const corrected = correctCharge(action, sim, usd(650), noon);
    expect(corrected?.action.money.chargedMinor).toBe(650);
    expect(corrected?.action.ledger.at(-1)).toMatchObject({ kind: 'charged', amount: usd(150) });
    expect(corrected?.cap).toMatchObject({ deltaMinor: 150 });
  });

  it('that was right is confirmed without moving any sum', () => {
    const { action, sim } = bought('1');
    const corrected = correctCharge(action, sim, usd(500), noon);
    expect(corrected?.cap).toBeNull();
    expect(corrected?.sim).toBe(sim);
    expect(corrected !== null && isChargeEstimated(corrected.action)).toBe(false);
  });

  it('is corrected once', () => {
    const { action, sim } = bought('1');
    const corrected = correctCharge(action, sim, usd(420), noon);
    if (corrected === null) throw new Error('it was not corrected');
    expect(correctCharge(corrected.action, corrected.sim, usd(100), noon)).toBeNull();
  });

  it('is left alone when it is no estimate, of another currency, or not charged at all', () => {
    const named = bought('1', usd(450));
    expect(correctCharge(named.action, named.sim, usd(420), noon)).toBeNull();
    const estimated = bought('1');
    expect(correctCharge(estimated.action, estimated.sim, money(420, 'EUR'), noon)).toBeNull();
    const unknown = lost();
    expect(correctCharge(unknown.action, unknown.sim, usd(420), noon)).toBeNull();
  });

  it('leaves the sum of the ledger equal to the sums of the action and of the SIM, whatever the price', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000_000 }), (price) => {
        const { action, sim } = bought('1');
        const corrected = correctCharge(action, sim, usd(price), noon);
        if (corrected === null) throw new Error('it was not corrected');
        const next = corrected.action;
        expect(sumLedger(next.ledger, 'USD')).toEqual(next.money);
        expect(next.money.chargedMinor).toBe(price);
        expect(corrected.sim.committedMinor[utcDay(noon)] ?? 0).toBe(price);
        expect((corrected.cap?.deltaMinor ?? 0) + 500).toBe(price);
      }),
    );
  });
});

describe('a refund without an amount', () => {
  it('is booked as an estimate of what is left of the charge', () => {
    const { action } = bought('1', usd(450));
    const refunded = bookRefundOfRest(action, noon, 'the records');
    expect(refunded?.money.refundedMinor).toBe(450);
    expect(refunded?.ledger.at(-1)).toMatchObject({ kind: 'refunded', estimated: true, note: 'the records' });
    expect(refunded !== null && sumLedger(refunded.ledger, 'USD')).toEqual(refunded?.money);
    expect(refunded !== null && bookRefundOfRest(refunded, noon, 'again')).toBeNull();
  });
});
