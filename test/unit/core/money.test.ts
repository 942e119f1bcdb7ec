import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatMoney, minorUnitDigits, money, parseMajorAmount } from '../../../shared/core/money.ts';

describe('an amount', () => {
  it.each([
    [0.1, 'USD'],
    [-1, 'USD'],
    [Number.NaN, 'USD'],
    [2 ** 53, 'USD'],
    [1, 'usd'],
    [1, 'US'],
    [1, ''],
  ])('refuses %s %s', (amount, currency) => {
    expect(() => money(amount, currency)).toThrow(RangeError);
  });

  it.each([
    ['225.35', 'USD', 22_535],
    ['0.29', 'USD', 29],
    ['1.1', 'USD', 110],
    ['5', 'USD', 500],
    ['5.000', 'USD', 500],
    [' 5.00 ', 'USD', 500],
    ['007', 'USD', 700],
    ['500', 'JPY', 500],
    ['500.0', 'JPY', 500],
    ['1.234', 'KWD', 1_234],
    ['1', 'KWD', 1_000],
    ['999999999999.99', 'USD', 99_999_999_999_999],
  ])('reads %j %s as %i minor units', (text, currency, amountMinor) => {
    expect(parseMajorAmount(text, currency)).toEqual({ amountMinor, currency });
  });

  it.each([
    ['5.001', 'USD'],
    ['500.5', 'JPY'],
    ['1.2345', 'KWD'],
    ['-5.00', 'USD'],
    ['+5.00', 'USD'],
    ['1e3', 'USD'],
    ['1,000.00', 'USD'],
    ['5.', 'USD'],
    ['.5', 'USD'],
    ['', 'USD'],
    ['５.00', 'USD'],
    ['0x10', 'USD'],
    ['Infinity', 'USD'],
    ['9999999999999', 'USD'],
    ['5.00', 'usd'],
    ['5.00', 'DOLLAR'],
  ])('reads nothing from %j %s', (text, currency) => {
    expect(parseMajorAmount(text, currency)).toBeNull();
  });

  it('never passes through a float: what is printed is read back as the same amount', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 999_999_999_999 }),
        fc.constantFrom('USD', 'CNY', 'JPY', 'KWD', 'EUR'),
        (amountMinor, currency) => {
          const text = formatMoney({ amountMinor, currency });
          expect(parseMajorAmount(text.slice(4), currency)).toEqual({ amountMinor, currency });
        },
      ),
    );
  });

  it('knows the minor units of ISO 4217', () => {
    expect(['USD', 'CNY', 'JPY', 'KWD', 'CLF'].map(minorUnitDigits)).toEqual([2, 2, 0, 3, 4]);
    // Written without decimals, and yet counted in hundredths and thousandths: where Intl is no source.
    expect(['HUF', 'PKR', 'IQD'].map(minorUnitDigits)).toEqual([2, 2, 3]);
  });

  it('is printed for people with its currency', () => {
    const print = (amountMinor: number, currency: string) => formatMoney({ amountMinor, currency });
    expect([print(5, 'USD'), print(500, 'JPY'), print(1, 'KWD'), print(123_456, 'CNY')]).toEqual([
      'USD 0.05',
      'JPY 500',
      'KWD 0.001',
      'CNY 1234.56',
    ]);
  });
});
