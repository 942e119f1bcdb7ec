import { createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  explainCsssCallback,
  explainCubeNotification,
  explainEiotclubCallback,
  mallChecksum,
  Secret,
  signCsssCallback,
  signEiotclubCallback,
} from '../../../shared/signing/index.ts';
import { arbitrary } from './arbitraries.ts';

const any = { variants: null };
const value = '0011223344556677-s3cr3t-8899aabbccddeeff';
const secret = new Secret(value);
const bytes = (text: string): Uint8Array => Buffer.from(text);
const sha1 = (text: string): Buffer => createHash('sha1').update(text).digest();
const md5 = (text: string): Buffer => createHash('md5').update(text).digest();

describe('explainEiotclubCallback', () => {
  const members =
    '"timestamp":1746050702,"event":"X","appkey":"k","memo":"","data":[{"b":1,"a":"中/"}],"Zed":1';
  const text = 'Zed=1&data=[{"b":1,"a":"中/"}]&event=X&timestamp=1746050702';
  const explain = (sign: string, options = {}, keys = [secret]) =>
    explainEiotclubCallback(bytes(`{${members},"sign":${JSON.stringify(sign)}}`), keys, {
      ...any,
      ...options,
    });
  const cause = (signedText: string): string =>
    explain(sha1(`${signedText}&secret=${value}`).toString('hex').toUpperCase()).likelyCause;

  it('says of a good callback which variant it is, with the digest and the text without the secret', () => {
    const digest = sha1(`${text}&secret=${value}`).toString('hex');
    const explanation = explain(digest.toUpperCase());
    expect(explanation.verdict.ok).toBe(true);
    expect(explanation.likelyCause).toContain('good');
    expect(explanation.tried[0]).toMatchObject({ text: `${text}&secret=<secret>`, digest });
  });

  it.each([
    ['appkey signed', 'Zed=1&appkey=k&data=[{"b":1,"a":"中/"}]&event=X&timestamp=1746050702', /appkey/],
    [
      'a member left out',
      'Zed=1&data=[{"b":1,"a":"中/"}]&timestamp=1746050702',
      /did not sign the member "event"/,
    ],
    [
      'an empty member signed',
      'Zed=1&data=[{"b":1,"a":"中/"}]&event=X&memo=&timestamp=1746050702',
      /empty member/,
    ],
    ['no sorting', 'timestamp=1746050702&event=X&data=[{"b":1,"a":"中/"}]&Zed=1', /order of the body/],
    [
      'sorting without case',
      'data=[{"b":1,"a":"中/"}]&event=X&timestamp=1746050702&Zed=1',
      /upper and lower case/,
    ],
    [
      'nested keys sorted',
      text.replace('"b":1,"a":"中/"', '"a":"中/","b":1'),
      /inside nested values were sorted/,
    ],
    ['Python spaces', text.replace('{"b":1,"a":"中/"}', '{"b": 1, "a": "中/"}'), /Python/],
    ['Unicode escapes', text.replace('中', '\\u4e2d'), /\\uXXXX/],
    ['escaped slashes', text.replace('/', '\\/'), /\\\//],
    ['PHP escapes', text.replace('中/', '\\u4e2d\\/'), /PHP/],
    ['a newline behind nested values', text.replace('}]', '}]\n'), /newline/],
    ['milliseconds', text.replace('1746050702', '1746050702000'), /milliseconds/],
    [
      'URL encoding',
      `Zed=1&data=${encodeURIComponent('[{"b":1,"a":"中/"}]')}&event=X&timestamp=1746050702`,
      /URL/,
    ],
  ])('finds %s', (_, signedText, expected) => {
    expect(cause(signedText)).toMatch(expected);
  });

  it.each([
    ['Base64', sha1(`${text}&secret=${value}`).toString('base64'), /sent as Base64/],
    ['MD5', md5(`${text}&secret=${value}`).toString('hex'), /MD5/],
    ['SHA-256', createHash('sha256').update(`${text}&secret=${value}`).digest('hex'), /SHA-256/],
    ['HMAC', createHmac('sha1', value).update(text).digest('hex'), /HMAC/],
    ['no secret', sha1(text).toString('hex'), /without any secret/],
    ['the secret without its name', sha1(text + value).toString('hex'), /without "&secret="/],
    ['a secret with a newline', sha1(`${text}&secret=${value}\n`).toString('hex'), /newline/],
    ['a secret in capitals', sha1(`${text}&secret=${value.toUpperCase()}`).toString('hex'), /upper case/],
  ])('finds %s', (_, sign, expected) => {
    const explanation = explain(sign);
    expect(explanation.verdict.ok).toBe(false);
    expect(explanation.likelyCause).toMatch(expected);
  });

  it('finds whitespace around our own secret', () => {
    const sign = sha1(`${text}&secret=${value}`).toString('hex');
    expect(explain(sign, {}, [new Secret(` ${value}\n`)]).likelyCause).toMatch(/whitespace around it/);
  });

  it('names the variant that a pinned configuration refuses', () => {
    const sign = sha1(`${text}&secret=${value}`).toString('hex');
    const { likelyCause, verdict } = explain(sign, { variants: ['js-json/bool-literal/empty-object-kept'] });
    if (!verdict.ok) expect(likelyCause).toMatch(/configuration does not accept/);
    const made = signEiotclubCallback({ flag: true }, secret, 'raw-text/bool-literal/empty-object-kept');
    if (!made.ok) throw new Error(made.detail);
    const pinned = { variants: ['raw-text/bool-digit/empty-object-kept'] };
    const refused = explainEiotclubCallback(made.body, [secret], pinned);
    expect(refused.likelyCause).toMatch(/matches the variant raw-text\/bool-literal.*configuration/);
  });

  it('tells an older key, a missing sign, a misspelt one and an unknown secret apart', () => {
    const made = signEiotclubCallback({ a: 1 }, secret);
    if (!made.ok) throw new Error(made.detail);
    const older = explainEiotclubCallback(made.body, [new Secret('fresh'), secret], any);
    expect(older.likelyCause).toMatch(/older key/);
    expect(explainEiotclubCallback(made.body, [new Secret('fresh')], any).likelyCause).toMatch(
      /secret.*is not the one/,
    );
    expect(explainEiotclubCallback(bytes('{"a":1}'), [secret], any).likelyCause).toMatch(
      /no member called "sign"/,
    );
    expect(explainEiotclubCallback(bytes('{"Sign":"x"}'), [secret], any).likelyCause).toMatch(
      /member "Sign"/,
    );
    expect(explainEiotclubCallback(made.body, [], any).likelyCause).toMatch(/no secret is set/);
  });

  it('tells a time in the wrong unit from a time that is off', () => {
    const made = signEiotclubCallback({ timestamp: 1746050702 }, secret);
    if (!made.ok) throw new Error(made.detail);
    const hints = (nowMs: number): string =>
      explainEiotclubCallback(made.body, [secret], { ...any, nowMs }).hints.join();
    expect(hints(1746050702000)).not.toMatch(/time is/);
    expect(hints(1746050702000 + 3 * 86_400_000)).toMatch(/3 day\(s\) behind/);
    expect(hints(1746050702)).toMatch(/milliseconds where the scheme has seconds/);
  });

  it.each([
    ['', /empty/],
    ['\ufeff{}', /byte order mark/],
    [Buffer.from('{"a":1,"sign":"x"}').toString('base64'), /Base64/],
    ['a=1&sign=2', /form/],
    ['{"a":1,"a":2}', /duplicate-key/],
    ['[]', /not-an-object/],
  ])('explains a body that cannot be read: %j', (body, expected) => {
    expect(explainEiotclubCallback(bytes(body), [secret], any).likelyCause).toMatch(expected);
  });
});

describe('explainCsssCallback', () => {
  const body = '{"b":"x","a":1,"e":""}\n';
  const cause = (header: string | undefined, text = body): string =>
    explainCsssCallback(bytes(text), header, [secret], any).likelyCause;

  it.each([
    ['hex in place of Base64', md5(`a=1&b=x&${value}`).toString('hex'), /sent as hex/],
    [
      'the hex text in capitals',
      Buffer.from(md5(`a=1&b=x&${value}`).toString('hex').toUpperCase()).toString('base64'),
      /hex text/,
    ],
    ['whitespace around the header', ` ${md5(`a=1&b=x&${value}`).toString('base64')}`, /whitespace/],
    ['no sorting', md5(`b=x&a=1&${value}`).toString('base64'), /order of the body/],
    ['a member left out', md5(`a=1&${value}`).toString('base64'), /did not sign the member "b"/],
    ['the whole body', md5(`${body}&${value}`).toString('base64'), /the body as it stands/],
    ['the whole body, trimmed', md5(body.trimEnd() + value).toString('base64'), /without the newline/],
    ['sorted JSON', md5(`{"a":1,"b":"x","e":""}&${value}`).toString('base64'), /sorted keys/],
    ['the EIOTCLUB suffix', md5(`a=1&b=x&secret=${value}`).toString('base64'), /EIOTCLUB/],
    ['HMAC', createHmac('sha1', value).update('a=1&b=x').digest('base64'), /HMAC/],
    ['the Mall checksum', mallChecksum({ b: 'x', a: 1 }).sign, /checksum/],
    ['an unknown secret', md5('a=1&b=x&other').toString('base64'), /secret is not the one/],
    ['a header of the wrong length', 'AAAA', /must be Base64 of 16 bytes/],
    ['no header', undefined, /x-lf-md5 is not there/],
  ])('finds %s', (name, header, expected) => {
    expect(cause(header, name === 'the Mall checksum' ? '{"b":"x","a":1}' : body)).toMatch(expected);
  });

  it('says of a good callback which variant it is', () => {
    const made = signCsssCallback(bytes(body), secret, 'object/strings-unescaped/empty-kept/hex-text');
    if (!made.ok) throw new Error(made.detail);
    const explanation = explainCsssCallback(made.body, made.signature, [secret], any);
    expect(explanation).toMatchObject({ verdict: { ok: true }, likelyCause: 'the signature is good' });
    expect(explanation.tried.filter(({ digest }) => digest !== null)).toMatchObject([
      { text: 'a=1&b=x&e=&<secret>' },
    ]);
    const pinned = { variants: ['object/strings-unescaped/empty-dropped/hex-text'] };
    expect(explainCsssCallback(made.body, made.signature, [secret], pinned).likelyCause).toMatch(
      /empty-kept.*configuration/,
    );
  });
});

describe('explainCubeNotification', () => {
  const keys = [{ keyId: 'k1', secret }];
  const body = bytes('{"b":{"y":1,"x":"中"}, "a":"s p"}');
  const message = '{"a":"s p","b":{"y":1,"x":"中"}}';
  const head = '1.0:HMAC-SHA1:1683524066000';
  const hmac = (text: string): Buffer => createHmac('sha1', value).update(text).digest();
  const good = {
    'x-lf-notification-version': '1.0',
    'x-lf-algo': 'HMAC-SHA1',
    'x-lf-signature': `k1/${hmac(`${message}:${head}`).toString('base64')}`,
    'x-lf-timestamp': '1683524066000',
  };
  const cause = (headers: Record<string, string>, live = keys): string =>
    explainCubeNotification(body, headers, live, any).likelyCause;
  const signed = (text: string): Record<string, string> => ({
    ...good,
    'x-lf-signature': `k1/${hmac(text).toString('base64')}`,
  });

  it('says of a good notification which variant it is, and only shows the digest that matches', () => {
    const explanation = explainCubeNotification(body, good, keys, any);
    expect(explanation.verdict).toMatchObject({ ok: true, variant: 'colon/key_as_text/base64' });
    const shown = explanation.tried.filter(({ digest }) => digest !== null);
    expect(shown).toMatchObject([{ variant: 'colon/key_as_text/base64', text: `${message}:${head}` }]);
  });

  it.each([
    ['the header string in front', head + message, /in front of the message/],
    ['nested sorting', `{"a":"s p","b":{"x":"中","y":1}}:${head}`, /nested objects were sorted/],
    ['no sorting', `{"b":{"y":1,"x":"中"}, "a":"s p"}${head}`, /without sorting/],
    ['no header string', message, /only the message/],
    ['seconds', `${message}\n1.0:HMAC-SHA1:1683524066`, /seconds but sent in milliseconds/],
    ['escapes', `${message.replace('中', '\\u4e2d')}:${head}`, /\\uXXXX/],
    ['a member added on the way', `{"a":"s p"}:${head}`, /did not sign the member "b"/],
    ['something else', 'else', /key is not the one/],
  ])('finds %s', (_, text, expected) => {
    expect(cause(signed(text))).toMatch(expected);
  });

  it('finds hex in capitals, a missing key id, an unknown key id and misspelt or missing headers', () => {
    const digest = hmac(`${message}:${head}`);
    expect(cause({ ...good, 'x-lf-signature': `k1/${digest.toString('hex').toUpperCase()}` })).toMatch(
      /colon\/key_as_text\/hex.*hex with capitals/,
    );
    expect(cause({ ...good, 'x-lf-signature': digest.toString('hex') })).toMatch(/no key id/);
    expect(cause(good, [{ keyId: 'k2', secret }])).toMatch(/matches a live key, but .* "k1"/);
    expect(cause(good, [{ keyId: 'k2', secret: new Secret('other') }])).toMatch(
      /no live key has the id "k1"/,
    );
    expect(cause({ ...good, 'x-lf-algo': 'hmac-sha1' })).toMatch(/must be HMAC-SHA1/);
    const { 'x-lf-timestamp': time, ...rest } = good;
    expect(cause(rest)).toMatch(/x-lf-timestamp is not there/);
    expect(cause({ ...rest, 'X-LF-Timestamp': time })).toMatch(
      /"X-LF-Timestamp" must be given as x-lf-timestamp/,
    );
    expect(cause({ ...good, 'x-lf-timestamp': '1683524066.0' })).toMatch(/epoch milliseconds/);
    expect(cause(good, [])).toMatch(/no secret is set/);
  });
});

describe('an explanation', () => {
  it('never shows the secret, even when the body or a header holds it', () => {
    const place = fc.constantFrom('key', 'value', 'nested', 'header', 'none');
    fc.assert(
      fc.property(arbitrary.plainParams, place, (params, where) => {
        const plain: Record<string, fc.JsonValue> = { ...params };
        if (where === 'key') plain[value] = '';
        if (where === 'value') plain.leak = `x${value}y`;
        if (where === 'nested') plain.leak = [{ [value]: value }];
        const header = where === 'header' ? value : 'AAAA';
        const body = bytes(JSON.stringify(plain));
        const headers = {
          'x-lf-signature': `${header}/${header}`,
          'x-lf-algo': header,
          'x-lf-timestamp': header,
        };
        const shown = JSON.stringify([
          explainEiotclubCallback(bytes(JSON.stringify({ ...plain, sign: header })), [secret], any),
          explainCsssCallback(body, header, [secret], any),
          explainCubeNotification(body, headers, [{ keyId: 'k1', secret }], any),
          explainCubeNotification(
            body,
            { ...headers, 'x-lf-algo': 'HMAC-SHA1' },
            [{ keyId: value, secret }],
            any,
          ),
        ]);
        expect(shown).not.toContain(value);
      }),
      { numRuns: 25 },
    );
  });

  it('does not hang on a large hostile body', () => {
    const started = performance.now();
    const large = JSON.stringify({
      sign: 'A'.repeat(40),
      ...Object.fromEntries(Array.from({ length: 1500 }, (_, i) => [`k${i}`, 'v'.repeat(30)])),
    });
    explainEiotclubCallback(bytes(large), [secret], any);
    explainCsssCallback(bytes(large), 'A'.repeat(22).concat('=='), [secret], any);
    for (const text of [`${' '.repeat(250_000)}!`, `${'A'.repeat(250_000)}!`, 'a'.repeat(250_000)]) {
      explainEiotclubCallback(bytes(text), [secret], any);
    }
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
