import { expect, it } from 'vitest';
import { epochMs } from '../../../shared/core/time.ts';
import { readRetryAfter } from '../../../shared/providers/retry-after.ts';

const now = epochMs(Date.UTC(2026, 10, 22, 12));

it.each([
  ['0', 0],
  ['7', 7_000],
  [' 7 ', 7_000],
  ['999999999', 3_600_000],
  ['Sun, 22 Nov 2026 12:00:30 GMT', 30_000],
  ['Sun, 22 Nov 2026 11:00:00 GMT', 0],
  ['Mon, 23 Nov 2026 12:00:00 GMT', 3_600_000],
  ['Sun, 99 Nov 2026 12:00:30 GMT', null],
  ['7.5', null],
  ['-1', null],
  ['soon', null],
  ['', null],
  [undefined, null],
])('reads Retry-After %j as %j ms, at most an hour', (value, expected) => {
  expect(readRetryAfter(value, now)).toBe(expected);
});
