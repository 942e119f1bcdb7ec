import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readExactBody, readExactJson } from '../../../shared/providers/exact-json.ts';

const read = (text: string): unknown => {
  const reading = readExactJson(text);
  return reading.ok ? reading.value : reading.reason;
};

describe('reading JSON with exact numbers', () => {
  it('keeps each number as it is spelled', () => {
    expect(read('[12345678901234567890, -0, 1.0, 1e5, -2.5E+10]')).toEqual([
      '12345678901234567890',
      '-0',
      '1.0',
      '1e5',
      '-2.5E+10',
    ]);
  });

  it('reads escapes, empty containers and a member called __proto__ as members of their own', () => {
    const text = '{"a\\"b\\\\":"\\u0061\\n","":{},"__proto__":[ ],"\\u0062":null}';
    const value = read(text);
    expect(Object.entries(Object(value))).toEqual([
      ['a"b\\', 'a\n'],
      ['', {}],
      ['__proto__', []],
      ['b', null],
    ]);
  });

  // Found by comparing with JSON.parse of Node 24.21, which answers "\\" for the second name once it has read the first.
  it('tells an escaped name from one that it has read before at the same place', () => {
    read('{"q":null,"\\\\":1}');
    expect(read('{"q":null,"\\u0061":1}')).toEqual({ q: null, a: '1' });
  });

  it('refuses a name that stands twice in one object, however it is spelled, and not in two objects', () => {
    expect(read('{"a":1,"\\u0061":2}')).toBe('duplicate-key');
    expect(read('[{"x":{"b":1,"b":1}}]')).toBe('duplicate-key');
    expect(read('{"a":{"a":1},"b":{"a":1}}')).toEqual({ a: { a: '1' }, b: { a: '1' } });
  });

  it('calls a broken text broken, even behind a name that stands twice', () => {
    for (const text of ['', '{', '{"a":1,}', '{"a":1,"a":2', '[1 2]', '{"a":1}}', '01', "{'a':1}"])
      expect(read(text), text).toBe('not-json');
  });

  it('takes and refuses the same texts as JSON.parse, whatever one character is changed into', () => {
    const text = '{"a":[1,-2.5e+3,"x\\u00e9\\n\\"",true,false,null,{}],"b" : { "c":[[ ],0] }}';
    const characters = [...'{}[]:,"\\ \t\u0000\u0007\u00a0\ufeff+-.0e1ntfux/\''];
    const isJson = (candidate: string): boolean => {
      try {
        JSON.parse(candidate);
        return true;
      } catch {
        return false;
      }
    };
    let refused = 0;
    for (let at = 0; at <= text.length; at++) {
      for (const put of ['', ...characters]) {
        for (const cut of [0, 1]) {
          const candidate = text.slice(0, at) + put + text.slice(at + cut);
          const isRead = read(candidate) !== 'not-json';
          expect(isRead, candidate).toBe(isJson(candidate));
          if (!isRead) refused += 1;
        }
      }
      expect(read(text.slice(0, at)) !== 'not-json', text.slice(0, at)).toBe(isJson(text.slice(0, at)));
    }
    expect(refused).toBeGreaterThan(1_000);
  });

  it('reads 32 levels and refuses 33', () => {
    const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
    expect(readExactJson(nested(32)).ok).toBe(true);
    expect(readExactJson(nested(33))).toMatchObject({
      ok: false,
      detail: expect.stringContaining('32 levels'),
    });
  });

  it.each([
    ' {"a\\"b" : "\\u0061\\n", "__proto__": [ ], "": {}, "n": -2.50E+10, "t": true, "f": false, "z": null} ',
    '[ 1.0, "a", {"__proto__":{"b":[1e5]}}, [true, null], false ]',
    '{"a":{"b":[{"c":1,"c":2}]}}',
    '{"a":1,"a":2}',
    '[{"a":1,"a":2}]',
    '{"a":[1,]}',
    '[] x',
    '',
    `{"a":${'['.repeat(31)}${']'.repeat(31)}}`,
    `{"a":${'['.repeat(32)}${']'.repeat(32)}}`,
    `${'['.repeat(32)}${']'.repeat(32)}`,
    `${'['.repeat(33)}${']'.repeat(33)}`,
  ])('reads a body by its parts as it reads the whole text: %s', (text) => {
    const { detail: _, ...whole } = { detail: '', ...readExactJson(text) };
    const { detail: __, ...byParts } = { detail: '', ...readExactBody(Buffer.from(text)) };
    expect(byParts).toEqual(whole);
    expect(JSON.stringify(byParts)).toBe(JSON.stringify(whole));
  });

  it('takes an object or a list for a body, in UTF-8 and nothing else', () => {
    for (const text of ['1', '"a"', 'null'])
      expect(readExactBody(Buffer.from(text))).toMatchObject({ reason: 'not-an-object' });
    expect(readExactBody(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toMatchObject({
      reason: 'not-json',
    });
  });

  it('reads what JSON.stringify wrote, with the numbers as texts', () => {
    const letters = fc.string({ unit: 'grapheme-ascii', minLength: 1 });
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5 },
        letters,
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('tree')),
        fc.dictionary(letters, tie('tree')),
      ),
    }));
    const spelled = (value: unknown): unknown => {
      if (typeof value === 'number') return JSON.stringify(value);
      if (Array.isArray(value)) return value.map(spelled);
      if (typeof value !== 'object' || value === null) return value;
      const copy: Record<string, unknown> = {};
      for (const [name, part] of Object.entries(value)) {
        Object.defineProperty(copy, name, { value: spelled(part), enumerable: true });
      }
      return copy;
    };
    fc.assert(
      fc.property(tree, fc.boolean(), (value, spaced) => {
        const text = JSON.stringify(value, null, spaced ? '\t' : undefined);
        expect(readExactJson(text)).toEqual({ ok: true, value: spelled(value) });
      }),
    );
  });
});
