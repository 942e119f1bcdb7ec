import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compactText,
  jsonDepthMax,
  readMembers,
  readRoot,
  unescapeString,
} from '../../../shared/signing/index.ts';
import { arbitrary } from './arbitraries.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

function valueTexts(text: string): Record<string, string> {
  const read = readMembers(bytes(text));
  if (!read.ok) throw new Error(read.detail);
  return Object.fromEntries(read.members.map(({ key, valueText }) => [key, valueText]));
}

const reasonOf = (body: Uint8Array): string => {
  const read = readMembers(body);
  return read.ok ? 'ok' : read.reason;
};

describe('readMembers', () => {
  it('keeps the spelling of numbers, escapes, whitespace and nested keys', () => {
    const text =
      '{ "a" : 1024.0 ,"b":1e2,"c":8944538532008160222,"d":"\\u4e2d\\/","e":{"2":1, "1" :[ ]},"f":-0}';
    expect(valueTexts(text)).toEqual({
      a: '1024.0',
      b: '1e2',
      c: '8944538532008160222',
      d: '"\\u4e2d\\/"',
      e: '{"2":1, "1" :[ ]}',
      f: '-0',
    });
  });

  it('gives name, kind and place of every member', () => {
    const text = '{"\\u0061":"x","n":null,"t":true,"f":false,"o":{},"l":[],"i":-1}';
    const read = readMembers(bytes(text));
    if (!read.ok) throw new Error(read.detail);
    expect(read.members.map(({ key, kind }) => `${key}:${kind}`)).toEqual([
      'a:string',
      'n:null',
      't:true',
      'f:false',
      'o:object',
      'l:array',
      'i:number',
    ]);
    expect(read.members[0]?.keyText).toBe('"\\u0061"');
    for (const { start, end, valueText } of read.members) expect(text.slice(start, end)).toBe(valueText);
  });

  it('reads __proto__, integer-like keys and emoji like any other name, in the order received', () => {
    const read = readMembers(bytes('{"10":1,"__proto__":{"x":1},"9":2,"😀":3,"":4}'));
    if (!read.ok) throw new Error(read.detail);
    expect(read.members.map(({ key }) => key)).toEqual(['10', '__proto__', '9', '😀', '']);
  });

  it('reports a key that occurs twice, however it is spelled', () => {
    expect(reasonOf(bytes('{"a":1,"a":1}'))).toBe('duplicate-key');
    expect(reasonOf(bytes('{"a":1,"\\u0061":2}'))).toBe('duplicate-key');
    expect(reasonOf(bytes('{"__proto__":1,"__proto__":2}'))).toBe('duplicate-key');
    expect(reasonOf(bytes('{"a":{"b":1,"b":2}}'))).toBe('ok');
  });

  it.each([
    ['', 'an empty body'],
    [' ', 'whitespace only'],
    ['{', 'an open object'],
    ['{"a":1', 'a cut-off object'],
    ['{"a":1}x', 'text behind the end'],
    ['{"a":1}{}', 'two documents'],
    ['{"a":1,}', 'a trailing comma'],
    ['{a:1}', 'a bare key'],
    ["{'a':1}", 'single quotes'],
    ['{"a":01}', 'a leading zero'],
    ['{"a":+1}', 'a plus sign'],
    ['{"a":.5}', 'no digit before the point'],
    ['{"a":1.}', 'no digit behind the point'],
    ['{"a":1e}', 'an empty exponent'],
    ['{"a":-}', 'a lone minus'],
    ['{"a":NaN}', 'NaN'],
    ['{"a":tru}', 'half a word'],
    ['{"a":"\n"}', 'a raw newline in a string'],
    ['{"a":"\\x41"}', 'an unknown escape'],
    ['{"a":"\\u12g4"}', 'a bad hex escape'],
    ['{"a":"\\', 'a cut-off escape'],
    ['{"a":1 "b":2}', 'a missing comma'],
    ['{"a" 1}', 'a missing colon'],
    ['{"a":[1 2]}', 'a missing comma in a list'],
    ['{"a":[1,]}', 'a trailing comma in a list'],
    ['{"a":1}\u0000', 'a NUL behind the end'],
    ['\u00a0{}', 'a no-break space'],
    ['\ufeff{}', 'a byte order mark'],
    ['{}/**/', 'a comment'],
  ])('refuses %j: %s', (text) => {
    expect(reasonOf(bytes(text))).toBe('not-json');
  });

  it('refuses bytes that are not UTF-8: a lone continuation, an overlong form, an encoded surrogate, Latin-1', () => {
    for (const inner of [[0x80], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xe9], [0xf5, 0x80, 0x80, 0x80]]) {
      const body = Buffer.concat([bytes('{"a":"'), Buffer.from(inner), bytes('"}')]);
      expect(reasonOf(body)).toBe('not-utf8');
    }
  });

  it('refuses roots that are not objects, and readRoot gives the items of an array', () => {
    for (const text of ['[]', '[1,2]', '1', '"a"', 'null', 'true'])
      expect(reasonOf(bytes(text))).toBe('not-an-object');
    const root = readRoot(bytes(' [ 1.0 , {"b":2, "a":1} ] '));
    if (!root.ok || root.kind !== 'array') throw new Error('not read as an array');
    expect(root.items.map(({ valueText }) => valueText)).toEqual(['1.0', '{"b":2, "a":1}']);
  });

  it('takes nesting up to the limit and refuses one level more, and a million levels without a crash', () => {
    const nested = (levels: number): Uint8Array => bytes(`{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`);
    expect(reasonOf(nested(jsonDepthMax - 1))).toBe('ok');
    expect(reasonOf(nested(jsonDepthMax))).toBe('too-deep');
    expect(reasonOf(bytes('{"a":'.repeat(1_000_000)))).toBe('too-deep');
    expect(reasonOf(bytes('['.repeat(1_000_000)))).toBe('too-deep');
  });

  it('keeps a lone surrogate escape as it is written, without throwing', () => {
    expect(valueTexts('{"a":"\\ud800"}')).toEqual({ a: '"\\ud800"' });
    expect(unescapeString('"\\ud800"')?.isWellFormed()).toBe(false);
  });

  // Not against JSON.parse of the whole: Node 24.21 may give a member the name of one in another text (README).
  it('finds each member of a text as it was written', () => {
    fc.assert(
      fc.property(arbitrary.objectParts, ({ text, members }) => {
        const read = readMembers(bytes(text));
        if (!read.ok) throw new Error(`${read.reason}: ${read.detail}`);
        expect(read.members.map(({ keyText, valueText }) => [keyText, valueText])).toEqual(members);
        expect(read.members.map(({ key }) => key)).toEqual(members.map(([key]) => JSON.parse(key)));
        for (const { valueText } of read.members) {
          expect(compactText(valueText)).toBe(valueText.replace(/("(?:[^"\\]|\\.)*")|\s+/g, '$1'));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('agrees with JSON.parse on damaged texts', () => {
    const damage = fc.tuple(
      arbitrary.objectText,
      fc.nat(),
      fc.constantFrom('', '"', '\\', ',', '{', '}', '1', ' ', '\t', 'e'),
    );
    fc.assert(
      fc.property(damage, ([text, at, put]) => {
        const place = at % (text.length + 1);
        const damaged = text.slice(0, place) + put + text.slice(place + 1);
        const read = readRoot(bytes(damaged));
        const refused = !read.ok && read.reason === 'not-json';
        expect(refused).toBe(!parses(Buffer.from(damaged).toString()));
      }),
      { numRuns: 1500 },
    );
  });
});

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('unescapeString', () => {
  it('resolves every escape and returns null for what is not a JSON string', () => {
    expect(unescapeString('"\\u4e2d\\/\\n\\"😀"')).toBe('中/\n"😀');
    for (const text of ['', '"', 'a', '"a', 'a"', '"a"b', '"\\"', '1', '"\u0001"', '""x']) {
      expect(unescapeString(text)).toBe(null);
    }
  });

  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(arbitrary.stringText, (text) => {
        expect(unescapeString(text)).toBe(JSON.parse(text));
      }),
    );
  });
});

describe('compactText', () => {
  it('drops whitespace between tokens and nothing else', () => {
    expect(compactText(' { "a b" : [ 1.0 ,\r\n\t"\\" x" ] } ')).toBe('{"a b":[1.0,"\\" x"]}');
    expect(compactText('"a\\\\" ')).toBe('"a\\\\"');
    expect(compactText('1024.0')).toBe('1024.0');
    for (const text of ['[1 ]', '[ 1]', '[1 ,2]', '[1,\n2]', '{"a" :1}', '{"a":\t1}', ' 1', '1\r', '[[] ]']) {
      expect(compactText(text)).toBe(text.replace(/\s/g, ''));
    }
  });

  it('never throws, whatever the text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(typeof compactText(text)).toBe('string');
      }),
    );
  });
});
