import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AccountLimits,
  emptyWindow,
  type LimitWindow,
  releaseSlot,
  takeSlots,
} from '../../../shared/core/rate-limit.ts';
import { after, type EpochMs, epochMs, milliseconds, minutes, seconds } from '../../../shared/core/time.ts';
import { noon } from './samples.ts';

const limits = (changes: Partial<AccountLimits> = {}): AccountLimits => ({
  provider: 'eiotclub',
  requestsPerSec: 10,
  connectionsMax: null,
  requestsPerDay: null,
  ...changes,
});

const ask = (window: LimitWindow, account: AccountLimits, now: EpochMs, token = `t${now}`, requests = 1) =>
  takeSlots(window, {
    limits: account,
    now,
    requests,
    leavesWithin: milliseconds(0),
    hasWaited: false,
    token,
    holdFor: seconds(30),
  });

/** Whoever asks at these moments, one after the other; the moments at which requests were granted. */
function grantsOf(
  account: AccountLimits,
  gaps: readonly number[],
  requests: readonly number[] = [],
): EpochMs[] {
  let window = emptyWindow;
  let now = noon;
  const granted: EpochMs[] = [];
  for (const [i, gap] of gaps.entries()) {
    now = after(now, milliseconds(gap));
    const wanted = requests[i] ?? 1;
    const grant = ask(window, account, now, `t${i}`, wanted);
    window = grant.window;
    if (grant.kind === 'granted') granted.push(...Array.from({ length: wanted }, () => now));
    else expect(grant.until).toBeGreaterThan(now);
  }
  return granted;
}

describe('the account window', () => {
  const arrivals = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 200 });

  it('never grants more than N requests in any second, however they come', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), arrivals, (perSec, gaps) => {
        const granted = grantsOf(limits({ requestsPerSec: perSec }), gaps);
        for (const from of granted) {
          const inSecond = granted.filter((at) => at >= from && at < from + 1_000).length;
          expect(inSecond).toBeLessThanOrEqual(perSec);
        }
      }),
    );
  });

  it('counts each of several requests that are taken at once', () => {
    fc.assert(
      fc.property(
        arrivals,
        fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 200, maxLength: 200 }),
        (gaps, requests) => {
          const granted = grantsOf(limits({ requestsPerSec: 5 }), gaps, requests);
          for (const from of granted) {
            expect(granted.filter((at) => at >= from && at < from + 1_000).length).toBeLessThanOrEqual(5);
          }
        },
      ),
    );
  });

  it('grants the whole rate to a lone worker that keeps to it', () => {
    const spaced = Array.from({ length: 100 }, () => 126);
    expect(grantsOf(limits(), spaced)).toHaveLength(100);
  });

  it('sends those who wait to slots of their own, at the pace of the account', () => {
    let window = emptyWindow;
    const promised: EpochMs[] = [];
    for (let i = 0; i < 60; i++) {
      const grant = ask(window, limits(), noon, `t${i}`);
      window = grant.window;
      if (grant.kind === 'wait') promised.push(grant.until);
    }
    expect(promised).toHaveLength(50);
    expect(new Set(promised).size).toBe(50);
    for (const from of promised) {
      expect(promised.filter((at) => at >= from && at < from + 1_000).length).toBeLessThanOrEqual(10);
    }
  });

  it('holds no more calls open than the account has connections, until each is given back or lost', () => {
    const account = limits({ connectionsMax: 3 });
    let window = emptyWindow;
    for (const token of ['a', 'b', 'c']) {
      const grant = ask(window, account, noon, token);
      expect(grant.kind).toBe('granted');
      window = grant.window;
    }
    expect(ask(window, account, after(noon, seconds(5)), 'd')).toMatchObject({
      kind: 'wait',
      why: 'the account has no free connection',
    });
    expect(ask(releaseSlot(window, 'b'), account, after(noon, seconds(5)), 'd').kind).toBe('granted');
    expect(ask(releaseSlot(window, 'unknown'), account, after(noon, seconds(5)), 'd').kind).toBe('wait');
    expect(ask(window, account, after(noon, milliseconds(29_999)), 'd').kind).toBe('wait');
    expect(ask(window, account, after(noon, seconds(30)), 'd').kind).toBe('granted');
  });

  it('stops at the requests of the day and goes on just after midnight UTC', () => {
    const account = limits({ requestsPerDay: 2 });
    const late = epochMs(Date.UTC(2026, 0, 14, 23, 59));
    let window = ask(emptyWindow, account, late).window;
    window = ask(window, account, after(late, seconds(2))).window;
    const third = ask(window, account, after(late, seconds(4)));
    expect(third).toMatchObject({ kind: 'wait', why: 'the account has used its requests of the day' });
    const until = third.kind === 'wait' ? third.until : noon;
    expect(until).toBeGreaterThan(epochMs(Date.UTC(2026, 0, 15)));
    expect(until).toBeLessThan(epochMs(Date.UTC(2026, 0, 15, 0, 1)));
    const tomorrow = ask(third.window, account, until);
    expect(tomorrow).toMatchObject({ kind: 'granted', window: { day: '2026-01-15', dayCount: 1 } });
  });

  it('counts a refused request against nothing', () => {
    const full = ask(emptyWindow, limits({ requestsPerSec: 1 }), noon).window;
    const refused = ask(full, limits({ requestsPerSec: 1 }), after(noon, milliseconds(100)));
    expect(refused.window).toMatchObject({ dayCount: 1, grants: [noon] });
  });

  it('forgets old grants, so that the stored window stays small', () => {
    const later = ask(ask(emptyWindow, limits(), noon).window, limits(), after(noon, minutes(1)));
    expect(later.window.grants).toEqual([after(noon, minutes(1))]);
  });
});
