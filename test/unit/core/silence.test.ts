import { describe, expect, it } from 'vitest';
import {
  type Arrivals,
  gapsMax,
  judgeSilence,
  learnArrivals,
  noArrivals,
  silenceLimit,
  usualGap,
} from '../../../shared/core/silence.ts';
import {
  after,
  before,
  type EpochMs,
  hours,
  milliseconds,
  minutes,
  seconds,
} from '../../../shared/core/time.ts';
import { noon } from './samples.ts';

/** A provider that was heard at these pauses, in minutes, the last time at noon. */
function heardEvery(...pauses: readonly number[]): Arrivals {
  const total = pauses.reduce((sum, pause) => sum + pause, 0);
  let at = before(noon, minutes(total));
  const moments: EpochMs[] = [at];
  for (const pause of pauses) {
    at = after(at, minutes(pause));
    moments.push(at);
  }
  return learnArrivals(noArrivals('eiotclub'), moments, true);
}

const times = (count: number, pause: number): readonly number[] => Array.from({ length: count }, () => pause);
const quiet = (arrivals: Arrivals, minutesLong: number) =>
  judgeSilence(arrivals, after(noon, minutes(minutesLong)));

describe('silence', () => {
  it('is not judged for a provider that was never heard from', () => {
    expect(judgeSilence(noArrivals('eiotclub'), noon)).toEqual({ kind: 'not-known' });
  });

  it('is not judged before ten pauses are known', () => {
    expect(quiet(heardEvery(...times(9, 2)), 600)).toEqual({ kind: 'not-known' });
    expect(quiet(heardEvery(...times(10, 2)), 600).kind).toBe('silent');
  });

  it('begins after twice the usual pause', () => {
    const arrivals = heardEvery(...times(40, 6));
    expect(quiet(arrivals, 12).kind).toBe('heard');
    expect(quiet(arrivals, 13)).toEqual({
      kind: 'silent',
      quietFor: minutes(13),
      limit: minutes(12),
      usual: minutes(6),
    });
  });

  it('begins within half an hour for a provider that is usually heard that often', () => {
    for (const pause of [16, 20, 29, 30]) {
      const arrivals = heardEvery(...times(40, pause));
      expect(silenceLimit(arrivals)).toBe(minutes(30));
      expect(quiet(arrivals, 31).kind).toBe('silent');
    }
  });

  it('is left alone for twice the pause of a provider that is heard seldom', () => {
    const arrivals = heardEvery(...times(40, 240));
    expect(quiet(arrivals, 400).kind).toBe('heard');
    expect(quiet(arrivals, 481).kind).toBe('silent');
  });

  it('never begins within five minutes, however dense the stream was', () => {
    expect(quiet(heardEvery(...times(40, 1)), 5).kind).toBe('heard');
    expect(quiet(heardEvery(...times(40, 1)), 6).kind).toBe('silent');
  });

  it('is not put off by single long pauses, so that a night does not hide the next outage', () => {
    expect(usualGap(heardEvery(...times(60, 4), 480, ...times(39, 4)))).toBe(minutes(4));
  });

  it('is reported each night for a provider that is busy by day: the known limit', () => {
    const days = Array.from({ length: 5 }, () => [...times(39, 10), 480]).flat();
    expect(quiet(heardEvery(...days, ...times(20, 10)), 60).kind).toBe('silent');
  });
});

describe('learning', () => {
  it('takes a burst for one moment', () => {
    const burst = Array.from({ length: 1_000 }, (_, i) => after(noon, milliseconds(i)));
    const arrivals = learnArrivals(heardEvery(...times(10, 60)), [...burst, after(noon, hours(1))], true);
    expect(arrivals.gaps).toEqual(times(11, minutes(60)));
  });

  it('gives a steady stream pauses of a minute', () => {
    const stream = Array.from({ length: 600 }, (_, i) => after(noon, seconds(i)));
    expect(learnArrivals(noArrivals('eiotclub'), stream, true).gaps).toEqual(times(9, minutes(1)));
  });

  it('ignores what came before the newest one noticed', () => {
    const arrivals = heardEvery(...times(10, 5));
    expect(learnArrivals(arrivals, [before(noon, minutes(3)), noon], true)).toBe(arrivals);
  });

  it('takes no long pause from a look that may have missed callbacks, but a short one', () => {
    const arrivals = heardEvery(...times(10, 5));
    expect(learnArrivals(arrivals, [after(noon, minutes(50))], false).gaps).toEqual(arrivals.gaps);
    expect(learnArrivals(arrivals, [after(noon, minutes(2))], false).gaps.at(-1)).toBe(minutes(2));
  });

  it('takes no pause from a silence that was alarmed about, and ends the alarm when something comes', () => {
    const alarmed = { ...heardEvery(...times(10, 5)), alarmedAt: after(noon, minutes(11)) };
    expect(learnArrivals(alarmed, [], true)).toBe(alarmed);
    const heard = learnArrivals(alarmed, [after(noon, hours(9))], true);
    expect(heard.alarmedAt).toBeNull();
    expect(heard.gaps).toEqual(alarmed.gaps);
  });

  it('remembers a bounded number of pauses, the newest', () => {
    const arrivals = heardEvery(...times(gapsMax, 2), ...times(50, 7));
    expect(arrivals.gaps).toHaveLength(gapsMax);
    expect(arrivals.gaps.slice(-50)).toEqual(times(50, minutes(7)));
  });
});
