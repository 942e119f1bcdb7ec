import { describe, expect, it } from 'vitest';
import { durationSchema, moneySchema } from '../../../shared/policy/notation.ts';

describe('a duration', () => {
  it.each([
    ['250ms', 250],
    ['90s', 90_000],
    ['30m', 1_800_000],
    ['12h', 43_200_000],
    ['7d', 604_800_000],
    ['0s', 0],
  ])('%s has %i ms', (text, ms) => {
    expect(durationSchema.parse(text)).toBe(ms);
  });

  it.each(['', '12', '12 h', '1.5h', '-1h', '1w', '1H', '1000000s', 'h', '1h30m'])('is not %j', (text) => {
    expect(durationSchema.safeParse(text).success).toBe(false);
  });
});

describe('an amount', () => {
  it.each([
    ['5.00 USD', 500],
    ['5 USD', 500],
    ['0.01 USD', 1],
    ['500 JPY', 500],
    ['1.234 KWD', 1_234],
  ])('%s has %i minor units', (text, amountMinor) => {
    expect(moneySchema.parse(text)).toEqual({ amountMinor, currency: text.slice(-3) });
  });

  it.each([
    '5.00',
    'USD 5.00',
    '5.00USD',
    '5,00 USD',
    '-5.00 USD',
    '5.001 USD',
    '0.5 JPY',
    '5.00 usd',
    '1e3 USD',
  ])('is not %j', (text) => {
    expect(moneySchema.safeParse(text).success).toBe(false);
  });
});
