import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { luhnDigit, subjectOf } from '../../../shared/core/subject.ts';

const keyOf = (received: string, kind: 'iccid' | 'eid' | 'imsi' = 'iccid') =>
  subjectOf('eiotclub', kind, received)?.key ?? null;

const digitsOf = (length: number) =>
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength: length, maxLength: length }).map((a) => a.join(''));

describe('the Luhn digit', () => {
  // Source: ISO/IEC 7812-1, annex B; the worked example 7992739871 with the check digit 3.
  it.each([
    ['7992739871', '3'],
    ['0', '0'],
    ['411111111111111', '1'],
  ])('of %s is %s', (digits, check) => {
    expect(luhnDigit(digits)).toBe(check);
  });
});

describe('an ICCID', () => {
  const body = '8985200026332081704';
  const check = luhnDigit(body);

  it('has one key with and without its check digit, with spaces, hyphens and F padding', () => {
    const whole = `${body}${check}`;
    const spellings = [
      body,
      whole,
      `${body}F`,
      `${whole}FF`,
      `${body}f`,
      ` 8985 2000 2633 2081 704${check} `,
      `8985-2000-2633-2081-704${check}`,
    ];
    expect(new Set(spellings.map((text) => keyOf(text)))).toEqual(new Set([keyOf(whole)]));
    expect(keyOf(whole)).not.toBeNull();
  });

  it('is spelled in calls as the provider spells it, without separators', () => {
    expect(subjectOf('eiotclub', 'iccid', ` 8985 2000-2633 2081704${check}`)?.simId).toBe(`${body}${check}`);
  });

  it.each([
    '',
    '8',
    '8'.repeat(17),
    '8'.repeat(23),
    '8985200026332081704A',
    'FFFF',
    '８９８５２００００２６３３２０８１７０',
    '8.98520002633208e+18',
  ])('is not made of %j', (text) => {
    expect(keyOf(text)).toBeNull();
  });

  it('keeps a last digit that is no check digit', () => {
    const wrong = String((Number(check) + 1) % 10);
    expect(keyOf(`${body}${wrong}`)).toBe(`eiotclub:iccid:${body}${wrong}`);
  });

  it('never shares its key with another one of the same length', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 18, max: 22 }).chain((n) => fc.tuple(digitsOf(n), digitsOf(n))),
        ([a, b]) => {
          if (a !== b) expect(keyOf(a)).not.toBe(keyOf(b));
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('never shares its key with a neighbour, digit for digit', () => {
    fc.assert(
      fc.property(digitsOf(20), fc.nat(19), fc.integer({ min: 1, max: 9 }), (digits, at, step) => {
        const other = `${digits.slice(0, at)}${(Number(digits[at]) + step) % 10}${digits.slice(at + 1)}`;
        expect(keyOf(other)).not.toBe(keyOf(digits));
      }),
      { numRuns: 1_000 },
    );
  });

  it('has the same key with and without a check digit, whatever its digits', () => {
    fc.assert(
      fc.property(fc.integer({ min: 18, max: 21 }).chain(digitsOf), (digits) => {
        expect(keyOf(`${digits}${luhnDigit(digits)}`)).toBe(keyOf(digits));
      }),
    );
  });
});

describe('other identifiers', () => {
  it('are told apart by provider and kind', () => {
    const keys = [
      keyOf('454001234567890', 'imsi'),
      keyOf('454001234567890', 'eid'),
      subjectOf('other', 'imsi', '454001234567890')?.key,
    ];
    expect(new Set(keys).size).toBe(3);
  });

  it('take EIDs in either case as one, and refuse what can be none', () => {
    expect(keyOf('89049032abc', 'eid')).toBe(keyOf('89049032ABC', 'eid'));
    expect(keyOf('x'.repeat(41), 'eid')).toBeNull();
    expect(keyOf('{}', 'eid')).toBeNull();
    expect(keyOf('45400', 'imsi')).toBeNull();
    expect(keyOf('4'.repeat(16), 'imsi')).toBeNull();
  });
});
