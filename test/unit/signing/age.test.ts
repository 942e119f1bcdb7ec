import { describe, expect, it } from 'vitest';
import { judgeAge } from '../../../shared/signing/index.ts';

describe('judgeAge', () => {
  const limits = { nowMs: 1_000_000, maxAgeMs: 300_000, maxFutureMs: 60_000 };

  it.each([
    [1_000_000, 'fresh'],
    [700_000, 'fresh'],
    [699_999, 'stale-timestamp'],
    [1_060_000, 'fresh'],
    [1_060_001, 'future-timestamp'],
    [0, 'stale-timestamp'],
    [Number.MAX_SAFE_INTEGER, 'future-timestamp'],
    [Number.NaN, 'stale-timestamp'],
    [null, 'fresh'],
  ])('judges %s as %s', (signedAtMs, verdict) => {
    expect(judgeAge(signedAtMs, limits)).toBe(verdict);
  });
});
