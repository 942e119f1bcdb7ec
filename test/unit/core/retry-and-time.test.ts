import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextTry, purchaseRetry, verifyRetry } from '../../../shared/core/retry.ts';
import {
  after,
  before,
  days,
  durationMs,
  elapsed,
  epochMs,
  hours,
  milliseconds,
  minutes,
  seconds,
  utcDay,
  utcHour,
  utcMonth,
} from '../../../shared/core/time.ts';
import { noon } from './samples.ts';

describe('the time of the next try', () => {
  const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  it('stays between what the provider asks for and that plus the ceiling, for any number of tries', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(purchaseRetry, verifyRetry),
        fc.integer({ min: 0, max: 10_000 }),
        fc.option(fc.integer({ min: 0, max: 86_400_000 })),
        fraction,
        (policy, tries, asked, jitter) => {
          const retryAfter = asked === null ? null : milliseconds(asked);
          const wait = nextTry(policy, { now: noon, tries, retryAfter, jitter }) - noon;
          const least = Math.max(250, asked ?? 0);
          expect(wait).toBeGreaterThanOrEqual(least);
          expect(wait).toBeLessThanOrEqual(least + policy.ceiling);
        },
      ),
    );
  });

  it('doubles the span of the jitter with each try, up to the ceiling', () => {
    const widest = (tries: number) =>
      nextTry(purchaseRetry, { now: noon, tries, retryAfter: null, jitter: 0.999_999_999 }) - noon - 250;
    expect([0, 1, 2, 3].map(widest)).toEqual([5_000, 10_000, 20_000, 40_000]);
    expect(widest(7)).toBe(minutes(10));
    expect(widest(100)).toBe(minutes(10));
  });

  it('spreads over the whole span: full jitter, so that many SIMs do not come back together', () => {
    const wait = (jitter: number) =>
      nextTry(purchaseRetry, { now: noon, tries: 1, retryAfter: null, jitter }) - noon;
    expect([wait(0), wait(0.5)]).toEqual([250, 5_250]);
  });
});

describe('time', () => {
  it('refuses a moment that is not whole milliseconds since 1970', () => {
    for (const bad of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60]) {
      expect(() => epochMs(bad)).toThrow(`but was ${bad}`);
    }
  });

  it('refuses a negative or endless duration and rounds a broken one', () => {
    for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => durationMs(bad)).toThrow(RangeError);
    }
    expect(durationMs(0.6)).toBe(1);
  });

  it('names units that agree with each other', () => {
    expect([milliseconds(1), seconds(1), minutes(1), hours(1), days(1)]).toEqual([
      1, 1_000, 60_000, 3_600_000, 86_400_000,
    ]);
  });

  it('measures no negative time and never goes before 1970', () => {
    expect(elapsed(noon, before(noon, hours(1)))).toBe(0);
    expect(elapsed(before(noon, hours(1)), noon)).toBe(hours(1));
    expect(before(epochMs(5), seconds(1))).toBe(0);
  });

  it('counts days and months in UTC, whatever the zone of the machine', () => {
    const midnight = epochMs(Date.UTC(2026, 1, 1));
    expect([utcDay(midnight), utcMonth(midnight), utcHour(midnight)]).toEqual([
      '2026-02-01',
      '2026-02',
      '00',
    ]);
    const earlier = before(midnight, milliseconds(1));
    expect([utcDay(earlier), utcMonth(earlier), utcHour(earlier)]).toEqual(['2026-01-31', '2026-01', '23']);
    expect(after(earlier, milliseconds(1))).toBe(midnight);
  });
});
