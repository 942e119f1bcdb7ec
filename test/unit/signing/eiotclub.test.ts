import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  eiotclubCallbackVariants,
  Secret,
  signEiotclubCallback,
  signEiotclubRequest,
  verifyEiotclubCallback,
  verifyEiotclubRequest,
} from '../../../shared/signing/index.ts';

const any = { variants: null };
const live = new Secret('live-secret-0123456789');
const old = new Secret('old-secret-9876543210');
const bytes = (text: string): Uint8Array => Buffer.from(text);

/** Signs a text by hand, so that the library does not mark its own work. */
const handSign = (text: string, secret: string): string =>
  createHash('sha1').update(`${text}&secret=${secret}`).digest('hex').toUpperCase();

const signedBody = (members: string, text: string): Uint8Array =>
  bytes(`{${members}${members === '' ? '' : ','}"sign":"${handSign(text, live.reveal())}"}`);

const variantOf = (body: Uint8Array): string => {
  const verdict = verifyEiotclubCallback(body, [live], any);
  return verdict.ok ? verdict.variant : verdict.reason;
};

describe('verifyEiotclubCallback', () => {
  it('takes numbers and nested values from the raw text', () => {
    const data = '{"2":1024.0,"1":1e2,"n":8944538532008160222,"s":"\\u4e2d\\/"}';
    const body = signedBody(`"timestamp":1746050702,"data":${data}`, `data=${data}&timestamp=1746050702`);
    expect(variantOf(body)).toBe('raw-text/bool-digit/empty-object-dropped');
  });

  it('signs what a root string stands for, however it is escaped', () => {
    const body = signedBody('"b":"\\u4e2d\\/\\ud83d\\ude00\u2028","a":"x"', 'a=x&b=中/😀\u2028');
    expect(variantOf(body)).toBe('raw-text/bool-digit/empty-object-dropped');
  });

  it.each([
    ['compact-text/bool-digit/empty-object-dropped', '"data":[ 1.0, 2 ]', 'data=[1.0,2]'],
    ['php-json/bool-digit/empty-object-dropped', '"data":[1.0,"\\/",{},{"0":"a"}]', 'data=[1,"/",[],["a"]]'],
    ['php-json/bool-digit/empty-object-dropped', '"price":12.50', 'price=12.5'],
    ['js-json/bool-digit/empty-object-dropped', '"data":{"b":1.0,"2":2,"1":{}}', 'data={"1":{},"2":2,"b":1}'],
    ['raw-text/bool-literal/empty-object-dropped', '"a":true,"b":false', 'a=true&b=false'],
    ['raw-text/bool-digit/empty-object-dropped', '"a":true,"b":false', 'a=1&b=0'],
    ['raw-text/bool-digit/empty-object-kept', '"a":{ }', 'a={}'],
    ['raw-text/bool-digit/empty-object-dropped', '"a":{},"b":[ ],"c":"","d":null,"e":0,"f":"0"', 'e=0&f=0'],
  ])('recognises %s', (variant, members, text) => {
    const body = signedBody(members, text);
    expect(variantOf(body)).toBe(variant);
    expect(verifyEiotclubCallback(body, [live], { variants: [variant] })).toMatchObject({
      ok: true,
      variant,
    });
    const others = eiotclubCallbackVariants.filter((name) => name.split('/')[0] !== variant.split('/')[0]);
    const elsewhere = verifyEiotclubCallback(body, [live], { variants: others });
    if (!elsewhere.ok) expect(elsewhere.reason).toBe('wrong-signature');
    expect(verifyEiotclubCallback(body, [live], { variants: [] })).toMatchObject({
      reason: 'wrong-signature',
    });
  });

  it('never signs appkey, appKey or app_key', () => {
    const members = '"appkey":"1","appKey":"2","app_key":"3","a":1';
    expect(variantOf(signedBody(members, 'a=1'))).toBe('raw-text/bool-digit/empty-object-dropped');
    expect(variantOf(signedBody(members, 'a=1&appkey=1'))).toBe('wrong-signature');
  });

  it('sorts names by bytes: capitals first, and U+FF21 before emoji', () => {
    const body = signedBody('"😀":1,"Ａ":2,"a":3,"B":4,"_":5,"10":6,"9":7', '10=6&9=7&B=4&_=5&a=3&Ａ=2&😀=1');
    expect(variantOf(body)).toBe('raw-text/bool-digit/empty-object-dropped');
  });

  it('signs __proto__ and constructor like any other name', () => {
    const body = signedBody('"__proto__":{"a":1},"constructor":2', '__proto__={"a":1}&constructor=2');
    expect(variantOf(body)).toBe('raw-text/bool-digit/empty-object-dropped');
  });

  it('verifies an empty set of members', () => {
    expect(variantOf(signedBody('', ''))).toBe('raw-text/bool-digit/empty-object-dropped');
  });

  it('accepts the sign in either case and says which live key matched', () => {
    const made = signEiotclubCallback({ a: 1, timestamp: 5 }, old);
    if (!made.ok) throw new Error(made.detail);
    const lower = bytes(Buffer.from(made.body).toString().replace(made.sign, made.sign.toLowerCase()));
    for (const body of [made.body, lower]) {
      expect(verifyEiotclubCallback(body, [live, old], any)).toMatchObject({
        ok: true,
        keyIndex: 1,
        signedAtMs: 5000,
      });
      expect(verifyEiotclubCallback(body, [live], any)).toMatchObject({ reason: 'wrong-signature' });
    }
  });

  it.each([
    ['{"a":1}', 'missing-signature'],
    ['{"a":1,"sign":null}', 'missing-signature'],
    ['{"a":1,"sign":""}', 'missing-signature'],
    ['{"a":1,"sign":5}', 'malformed-signature'],
    ['{"a":1,"sign":["AA"]}', 'malformed-signature'],
    [`{"a":1,"sign":"${'A'.repeat(39)}"}`, 'malformed-signature'],
    [`{"a":1,"sign":"${'A'.repeat(41)}"}`, 'malformed-signature'],
    [`{"a":1,"sign":"${'G'.repeat(40)}"}`, 'malformed-signature'],
    [`{"a":1,"sign":" ${'A'.repeat(39)}"}`, 'malformed-signature'],
    [`{"a":1,"sign":"${'A'.repeat(40)}"}`, 'wrong-signature'],
    [`{"a":1,"a":1,"sign":"${'A'.repeat(40)}"}`, 'malformed-body'],
    ['', 'malformed-body'],
    ['[]', 'malformed-body'],
    ['null', 'malformed-body'],
  ])('answers %s with %s', (text, reason) => {
    expect(verifyEiotclubCallback(bytes(text), [live], any)).toMatchObject({ ok: false, reason });
  });

  it('answers no-secret when no key is live, whatever the body', () => {
    expect(verifyEiotclubCallback(bytes(''), [], any)).toMatchObject({ reason: 'no-secret' });
  });

  it.each([
    ['"timestamp":"1746050702"', 'timestamp=1746050702', 1746050702000],
    ['"a":1', 'a=1', null],
    ['"timestamp":0', 'timestamp=0', 0],
  ])('reads the signed time of {%s}', (members, text, signedAtMs) => {
    expect(verifyEiotclubCallback(signedBody(members, text), [live], any)).toMatchObject({
      ok: true,
      signedAtMs,
    });
  });

  it.each(['1746050702000', '1746050702.5', '-1', '1e9', '"soon"', '"01"', '" 1"', 'true', '[1]'])(
    'answers malformed-timestamp for a signed timestamp of %s',
    (value) => {
      const unquoted = value.replaceAll('"', '').replace('true', '1');
      const body = signedBody(`"timestamp":${value}`, `timestamp=${unquoted}`);
      expect(variantOf(body)).toBe('malformed-timestamp');
    },
  );

  it('rejects text that would collide in UTF-8: lone surrogates are never hashed', () => {
    const body = signedBody('"a":"\\ud800"', 'a=\ufffd');
    expect(variantOf(body)).toBe('wrong-signature');
  });

  it('rejects a 19-digit number that JavaScript would round to the signed one', () => {
    const signed = signedBody('"id":8944538532008160000', 'id=8944538532008160000');
    expect(variantOf(signed)).toBe('raw-text/bool-digit/empty-object-dropped');
    const other = Buffer.from(signed).toString().replace('8944538532008160000', '8944538532008160001');
    expect(variantOf(bytes(other))).toBe('wrong-signature');
  });

  it('refuses a body in which captured members were joined into one, though the text and signature are genuine', () => {
    const text = 'event=FlowAlert&iccid=898&id=7&timestamp=5';
    expect(variantOf(signedBody('"event":"FlowAlert","iccid":"898","id":"7","timestamp":5', text))).toMatch(
      /^raw/,
    );
    for (const joined of [
      '"event":"FlowAlert&iccid=898","id":"7","timestamp":5',
      '"event":"FlowAlert","iccid":"898&id=7","timestamp":5',
      '"event":"FlowAlert","iccid":"898","id":"7&timestamp=5"',
      '"event=FlowAlert&iccid":"898","id":"7","timestamp":5',
      '"event":"FlowAlert","iccid":"898\\u0026id=7","timestamp":5',
    ]) {
      expect(variantOf(signedBody(joined, text))).toBe('malformed-body');
    }
    expect(variantOf(signedBody('"a=b":"c"', 'a=b=c'))).toBe('malformed-body');
  });

  it('accepts values with "&" and "=" where no other split would be in order', () => {
    expect(variantOf(signedBody('"b":"AT&T","c":"x&a=1","d":"y=2&"', 'b=AT&T&c=x&a=1&d=y=2&'))).toMatch(
      /^raw/,
    );
  });
});

describe('verifyEiotclubRequest', () => {
  it('signs appkey, unlike a callback', () => {
    const { sign } = signEiotclubRequest({ appkey: 'k', a: 1 }, live);
    const body = bytes(JSON.stringify({ appkey: 'k', a: 1, sign }));
    expect(verifyEiotclubRequest(body, [live], any)).toMatchObject({ ok: true });
    expect(verifyEiotclubCallback(body, [live], any)).toMatchObject({ reason: 'wrong-signature' });
    const other = bytes(JSON.stringify({ appkey: 'x', a: 1, sign }));
    expect(verifyEiotclubRequest(other, [live], any)).toMatchObject({ reason: 'wrong-signature' });
  });
});

describe('signEiotclubRequest', () => {
  it('drops sign and empty values, writes booleans as 1 and 0 and nested values as compact JSON', () => {
    const { text, sign } = signEiotclubRequest(
      {
        z: [1, { b: 1, a: '中/' }],
        t: true,
        f: false,
        n: null,
        e: '',
        l: [],
        o: {},
        sign: 'old',
        Z: 0,
        u: undefined,
      },
      live,
    );
    const signedText = 'Z=0&f=0&t=1&z=[1,{"b":1,"a":"中/"}]';
    expect(text).toBe(`${signedText}&secret=<secret>`);
    expect(sign).toBe(handSign(signedText, live.reveal()));
  });
});

describe('signEiotclubCallback', () => {
  it('keeps the bytes that it is given and replaces an old sign where it stands', () => {
    const made = signEiotclubCallback(bytes('{ "sign":"x", "a" : 1.0 }'), live);
    if (!made.ok) throw new Error(made.detail);
    expect(Buffer.from(made.body).toString()).toBe(`{ "sign":"${made.sign}", "a" : 1.0 }`);
  });

  it('names what it cannot sign', () => {
    expect(signEiotclubCallback(bytes('['), live)).toMatchObject({ ok: false, reason: 'malformed-body' });
    expect(signEiotclubCallback({ a: 1 }, live, 'no-such')).toMatchObject({ reason: 'unknown-variant' });
    const lossy = signEiotclubCallback(bytes('{"a":1e400}'), live, 'php-json/bool-digit/empty-object-kept');
    expect(lossy).toMatchObject({ reason: 'not-signable' });
    expect(signEiotclubCallback(bytes('{"a":"\\ud800"}'), live)).toMatchObject({ reason: 'not-signable' });
  });
});
