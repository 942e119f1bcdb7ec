import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  exactNumber,
  jsStyle,
  phpStyle,
  rewriteJson,
  sortedStyle,
} from '../../../shared/signing/rewritten-json.ts';
import { arbitrary } from './arbitraries.ts';

describe('rewriteJson', () => {
  it('prints what PHP prints after decoding', () => {
    const text =
      '{"b":1024.0,"a":{"x":{}},"u":"\\u4e2d\\/","s":"\u2028","l":{"0":1,"1":2},"n":{"1":1}, "e":1e2}';
    expect(rewriteJson(text, phpStyle)).toBe(
      '{"b":1024,"a":{"x":[]},"u":"中/","s":"\\u2028","l":[1,2],"n":{"1":1},"e":100}',
    );
  });

  it('prints what JSON.stringify prints, for everything that it can print without loss', () => {
    fc.assert(
      fc.property(arbitrary.valueText, (text) => {
        const rewritten = rewriteJson(text, jsStyle);
        if (rewritten !== null) expect(rewritten).toBe(JSON.stringify(JSON.parse(text)));
      }),
      { numRuns: 500 },
    );
  });

  it('gives up rather than lose anything: big numbers, duplicate keys, lone surrogates', () => {
    for (const text of [
      '[0.1000000000000000055]',
      '[1e400]',
      '{"a":1,"\\u0061":2}',
      '["\\ud800"]',
      '[-0]',
      '[1e-400]',
    ]) {
      expect(rewriteJson(text, phpStyle)).toBe(null);
      expect(rewriteJson(text, jsStyle)).toBe(null);
    }
    expect(rewriteJson('[8944538532008160222]', jsStyle)).toBe(null);
    expect(rewriteJson('[8944538532008160222]', phpStyle)).toBe('[8944538532008160222]');
    expect(rewriteJson('[9223372036854775808]', phpStyle)).toBe(null);
  });

  it('sorts keys at every depth and leaves spellings and lists alone', () => {
    expect(rewriteJson('{"b":[ {"y":1.0,"x":"\\/"},2,1 ],"10":1,"9":2}', sortedStyle)).toBe(
      '{"10":1,"9":2,"b":[{"x":"\\/","y":1.0},2,1]}',
    );
  });

  it('keeps __proto__ as an ordinary key', () => {
    expect(rewriteJson('{"__proto__":{"a":1},"constructor":1}', phpStyle)).toBe(
      '{"__proto__":{"a":1},"constructor":1}',
    );
  });
});

describe('exactNumber', () => {
  it.each([
    ['1024.0', '1024'],
    ['1e2', '100'],
    ['98.50', '98.5'],
    ['0.0', '0'],
    ['0e9', '0'],
    ['123456789012345.5', '123456789012345.5'],
    ['1.5E3', '1500'],
  ])('prints %s as %s in both languages', (raw, printed) => {
    expect(exactNumber(raw, 'php')).toBe(printed);
    expect(exactNumber(raw, 'js')).toBe(printed);
  });

  it.each([
    '-0',
    '-0.0',
    '0.00001',
    '1e15',
    '1e400',
    '1e-400',
    '0.30000000000000004441',
    '9007199254740993.0',
  ])('refuses %s, which the languages print differently or not exactly', (raw) => {
    expect(exactNumber(raw, 'php')).toBe(null);
    expect(exactNumber(raw, 'js')).toBe(null);
  });

  it('takes no longer than a moment for a long run of zeros', () => {
    const started = performance.now();
    expect(exactNumber(`1${'0'.repeat(200_000)}.5`, 'php')).toBe(null);
    expect(exactNumber(`1.${'0'.repeat(200_000)}`, 'php')).toBe('1');
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
