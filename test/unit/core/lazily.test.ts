import { describe, expect, it } from 'vitest';
import { lazily } from '../../../shared/core/lazily.ts';

describe('lazily', () => {
  it('makes its value when it is asked for, once, even when that is undefined', () => {
    let made = 0;
    const value = lazily(() => {
      made += 1;
      return undefined;
    });
    expect(made).toBe(0);
    expect([value(), value()]).toEqual([undefined, undefined]);
    expect(made).toBe(1);
  });
});
