import { describe, expect, it } from 'vitest';
import { commitInPeriods } from '../../../shared/core/sim-state.ts';
import { sim } from './samples.ts';

describe('what a SIM has committed', () => {
  it('adds up per period and drops a period that is back at nothing', () => {
    const one = commitInPeriods(sim(), ['2026-01-14', '2026-01'], 500);
    const two = commitInPeriods(one, ['2026-01-15', '2026-01'], 300);
    expect(two.committedMinor).toEqual({ '2026-01-14': 500, '2026-01-15': 300, '2026-01': 800 });
    expect(commitInPeriods(two, ['2026-01-15', '2026-01'], -300).committedMinor).toEqual(one.committedMinor);
    expect(one.committedMinor).toEqual({ '2026-01-14': 500, '2026-01': 500 });
  });

  it('keeps the newest four days and the newest four months, each by themselves', () => {
    let state = sim();
    for (let month = 1; month <= 7; month++) {
      for (let day = 1; day <= 9; day++) {
        state = commitInPeriods(state, [`2026-0${month}-0${day}`, `2026-0${month}`], 1);
      }
    }
    expect(state.committedMinor).toEqual({
      '2026-07-06': 1,
      '2026-07-07': 1,
      '2026-07-08': 1,
      '2026-07-09': 1,
      '2026-04': 9,
      '2026-05': 9,
      '2026-06': 9,
      '2026-07': 9,
    });
  });
});
