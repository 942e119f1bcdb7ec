import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  csssCallbackVariants,
  csssRequestDefaults,
  csssRequestOptions,
  csssRequestVariants,
  Secret,
  signCsssCallback,
  signCsssRequest,
  verifyCsssCallback,
  verifyCsssRequest,
} from '../../../shared/signing/index.ts';

const any = { variants: null };
const live = new Secret('live-secret-0123456789');
const old = new Secret('old-secret-9876543210');
const bytes = (text: string): Uint8Array => Buffer.from(text);
const md5Header = (text: string): string =>
  createHash('md5').update(`${text}&${live.reveal()}`).digest('base64');

const variantOf = (body: string, header: string | undefined): string => {
  const verdict = verifyCsssCallback(bytes(body), header, [live], any);
  return verdict.ok ? verdict.variant : verdict.reason;
};

describe('signCsssRequest', () => {
  const cases: readonly (readonly [string, Parameters<typeof signCsssRequest>[2], string])[] = [
    ['the default', {}, '{"10":1,"9":2,"Z":{"b":1,"a":[2,1]},"_":"中/","a":0}'],
    ['keys as given', { keyOrder: 'as-given' }, '{"a":0,"_":"中/","9":2,"10":1,"Z":{"b":1,"a":[2,1]}}'],
    [
      'empty kept',
      { dropEmpty: false },
      '{"10":1,"9":2,"Z":{"b":1,"a":[2,1]},"_":"中/","a":0,"e":"","n":null}',
    ],
    ['numbers quoted', { quoteNumbers: true }, '{"10":"1","9":"2","Z":{"b":1,"a":[2,1]},"_":"中/","a":"0"}'],
    ['nested sorted', { nestedKeys: 'sorted' }, '{"10":1,"9":2,"Z":{"a":[2,1],"b":1},"_":"中/","a":0}'],
  ];
  it.each(cases)('prints the text for %s', (_, options, text) => {
    const pairs = [
      ['a', 0],
      ['_', '中/'],
      ['9', 2],
      ['10', 1],
      ['Z', { b: 1, a: [2, 1] }],
      ['e', ''],
      ['n', null],
      ['sign', 'old'],
    ] as const;
    const made = signCsssRequest(pairs, live, options);
    expect(made.text).toBe(text);
    expect(made.sign).toBe(createHmac('sha1', live.reveal()).update(text).digest('base64'));
  });

  it('gives every variant its own name and the default the first', () => {
    expect(new Set(csssRequestVariants).size).toBe(16);
    expect(csssRequestOptions(csssRequestVariants[0] ?? '')).toMatchObject(csssRequestDefaults);
    expect(csssRequestOptions('no-such')).toBe(null);
  });
});

describe('verifyCsssRequest', () => {
  it.each(csssRequestVariants)('accepts %s and names it when pinned', (variant) => {
    const params = { z: 1, a: { d: 1, c: '' }, e: '', n: null, timestamp: '1643253530000', '7': [3, 2] };
    const { sign } = signCsssRequest(params, live, csssRequestOptions(variant) ?? {});
    const body = bytes(JSON.stringify({ ...params, sign }));
    const expected = { ok: true, keyIndex: 1, signedAtMs: 1643253530000 };
    expect(verifyCsssRequest(body, [old, live], any)).toMatchObject(expected);
    expect(verifyCsssRequest(body, [old, live], { variants: [variant] })).toMatchObject({
      ...expected,
      variant,
    });
    expect(verifyCsssRequest(body, [old], any)).toMatchObject({ reason: 'wrong-signature' });
  });

  it('accepts a sign over either spelling of an escaped body', () => {
    for (const text of ['{"a":"\\u4e2d\\/"}', '{"a":"中/"}']) {
      const sign = createHmac('sha1', live.reveal()).update(text).digest('base64');
      const body = bytes(`{"sign":"${sign}","a":"\\u4e2d\\/"}`);
      expect(verifyCsssRequest(body, [live], any)).toMatchObject({ ok: true });
    }
  });

  it('keeps the spelling of numbers', () => {
    const sign = createHmac('sha1', live.reveal())
      .update('{"a":1.0,"b":8944538532008160222}')
      .digest('base64');
    const body = (a: string): Uint8Array => bytes(`{"b":8944538532008160222,"a":${a},"sign":"${sign}"}`);
    expect(verifyCsssRequest(body('1.0'), [live], any)).toMatchObject({ ok: true, signedAtMs: null });
    expect(verifyCsssRequest(body('1'), [live], any)).toMatchObject({ reason: 'wrong-signature' });
  });

  it.each([
    ['{"a":1}', 'missing-signature'],
    ['{"a":1,"sign":""}', 'missing-signature'],
    ['{"a":1,"sign":"x"}', 'malformed-signature'],
    ['{"a":1,"sign":"mshmrjUjFC88jzdDmn8JrVlIF3t="}', 'malformed-signature'],
    ['{"a":1,"sign":"mshmrjUjFC88jzdDmn8JrVlIF3s"}', 'malformed-signature'],
    ['{"a":1,"sign":"mshmrjUjFC88jzdDmn8JrVlIF3s="}', 'wrong-signature'],
    ['{"a":1,"a":2}', 'malformed-body'],
    ['', 'malformed-body'],
  ])('answers %s with %s', (text, reason) => {
    expect(verifyCsssRequest(bytes(text), [live], any)).toMatchObject({ ok: false, reason });
  });

  it('answers no-secret when no key is live', () => {
    expect(verifyCsssRequest(bytes('{}'), [], any)).toMatchObject({ reason: 'no-secret' });
  });
});

describe('verifyCsssCallback', () => {
  const devices = '[{"deviceId":"8","warningCode":1,"expireTime":"x"},{"warningCode":2.0,"deviceId":"9"}]';
  it.each([
    [
      'object/strings-unescaped/empty-dropped/digest-bytes',
      '{"b":1.0,"a":"\\u4e2d","e":"","n":null}',
      'a=中&b=1.0',
    ],
    ['object/strings-unescaped/empty-kept/digest-bytes', '{"b":1,"e":"","n":null}', 'b=1&e=&n=null'],
    ['object/strings-raw/empty-dropped/digest-bytes', '{"b":"\\u4e2d\\/"}', 'b=\\u4e2d\\/'],
    ['object/strings-unescaped/empty-dropped/digest-bytes', '{"b":{"y":[ 1 ],"x":2}}', 'b={"y":[1],"x":2}'],
    ['object/strings-unescaped/empty-dropped/digest-bytes', `{"devices":${devices}}`, `devices=${devices}`],
    [
      'list/strings-unescaped/empty-dropped/digest-bytes',
      `{"devices":${devices}}`,
      'deviceId=8&expireTime=x&warningCode=1&deviceId=9&warningCode=2.0',
    ],
    [
      'list/strings-unescaped/empty-dropped/digest-bytes',
      devices,
      'deviceId=8&expireTime=x&warningCode=1&deviceId=9&warningCode=2.0',
    ],
    ['list/strings-unescaped/empty-dropped/digest-bytes', '[]', ''],
  ])('recognises %s in %s', (variant, body, text) => {
    expect(variantOf(body, md5Header(text))).toBe(variant);
    const made = signCsssCallback(bytes(body), live, variant);
    expect(made).toMatchObject({ ok: true, signature: md5Header(text), text: `${text}&<secret>` });
  });

  it('does not take a list under a name other than devices, since the name is not signed', () => {
    const header = md5Header('deviceId=8&expireTime=x&warningCode=1&deviceId=9&warningCode=2.0');
    expect(variantOf(`{"eevices":${devices}}`, header)).toBe('wrong-signature');
    expect(variantOf(`{"devices":${devices},"x":1}`, header)).toBe('wrong-signature');
  });

  it('tells Base64 of the bytes from Base64 of the hex text and refuses all else', () => {
    const body = '{"a":1}';
    const digest = createHash('md5').update(`a=1&${live.reveal()}`).digest();
    const hexText = Buffer.from(digest.toString('hex')).toString('base64');
    expect(variantOf(body, hexText)).toBe('object/strings-unescaped/empty-dropped/hex-text');
    expect(variantOf(body, digest.toString('hex'))).toBe('malformed-signature');
    expect(variantOf(body, Buffer.from(digest.toString('hex').toUpperCase()).toString('base64'))).toBe(
      'malformed-signature',
    );
    expect(variantOf(body, ` ${digest.toString('base64')}`)).toBe('malformed-signature');
    expect(variantOf(body, digest.toString('base64').replace('==', ''))).toBe('malformed-signature');
    expect(variantOf(body, digest.toString('base64url'))).toBe('malformed-signature');
    expect(variantOf(body, undefined)).toBe('missing-signature');
    expect(variantOf(body, '')).toBe('missing-signature');
    const pinned = { variants: ['object/strings-unescaped/empty-dropped/digest-bytes'] };
    expect(verifyCsssCallback(bytes(body), hexText, [live], pinned)).toMatchObject({
      reason: 'wrong-signature',
    });
  });

  it('refuses members joined into one and objects split in two, though text and signature are genuine', () => {
    expect(variantOf('{"a":"1&b=2"}', md5Header('a=1&b=2'))).toBe('malformed-body');
    expect(variantOf('[{"a":1},{"b":2}]', md5Header('a=1&b=2'))).toBe('malformed-body');
    expect(variantOf('[{"a":"1&b=2"}]', md5Header('a=1&b=2'))).toBe('malformed-body');
    expect(variantOf('[{"a":1},{"a":2}]', md5Header('a=1&a=2'))).toMatch(/^list/);
  });

  it('accepts an SMS that holds a link with parameters', () => {
    const text = 'sim_id=8&text_message=see https://x.test/?a=1&utm=2';
    expect(
      variantOf('{"text_message":"see https://x.test/?a=1&utm=2","sim_id":"8"}', md5Header(text)),
    ).toMatch(/^object/);
    expect(variantOf('{"text_message":"a&u=2","v":"8"}', md5Header('text_message=a&u=2&v=8'))).toBe(
      'malformed-body',
    );
  });

  it('says which live key matched, and no-secret or malformed-body before any digest', () => {
    const made = signCsssCallback({ a: 1 }, old);
    if (!made.ok) throw new Error(made.detail);
    const verdict = verifyCsssCallback(made.body, made.signature, [live, old], any);
    expect(verdict).toEqual({ ok: true, variant: csssCallbackVariants[0], keyIndex: 1, signedAtMs: null });
    expect(verifyCsssCallback(made.body, made.signature, [], any)).toMatchObject({ reason: 'no-secret' });
    for (const body of ['', '{', '{"a":1,"a":2}', '1', '\ufeff{}']) {
      expect(variantOf(body, made.signature)).toBe('malformed-body');
    }
    expect(variantOf('[{"a":1,"a":2}]', md5Header('a=1&a=2'))).toBe('wrong-signature');
  });

  it('names what it cannot sign', () => {
    expect(signCsssCallback(bytes('{'), live)).toMatchObject({ reason: 'malformed-body' });
    expect(signCsssCallback({ a: 1 }, live, 'x')).toMatchObject({ reason: 'unknown-variant' });
    const list = 'list/strings-raw/empty-kept/hex-text';
    expect(signCsssCallback({ a: 1 }, live, list)).toMatchObject({ reason: 'not-signable' });
    expect(signCsssCallback([{ a: 1 }], live, list)).toMatchObject({ ok: true });
  });
});
