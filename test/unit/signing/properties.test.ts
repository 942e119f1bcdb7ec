import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  csssCallbackVariants,
  csssRequestOptions,
  csssRequestVariants,
  cubeNotificationVariants,
  eiotclubCallbackVariants,
  explainCsssCallback,
  explainCubeNotification,
  explainEiotclubCallback,
  judgeAge,
  readMembers,
  Secret,
  signCsssCallback,
  signCsssRequest,
  signCubeNotification,
  signEiotclubCallback,
  signEiotclubRequest,
  unescapeString,
  type Verification,
  verifyCsssCallback,
  verifyCsssRequest,
  verifyCubeNotification,
  verifyCubeRequest,
  verifyEiotclubCallback,
  verifyEiotclubRequest,
} from '../../../shared/signing/index.ts';
import { arbitrary } from './arbitraries.ts';

const any = { variants: null };
const secret = new Secret('00112233445566778899aabbccddeeff');
const cubeKeys = [{ keyId: 'k1', secret }];
const bytes = (text: string): Uint8Array => Buffer.from(text);
const textOf = (body: Uint8Array): string => Buffer.from(body).toString();

/** Every copy of the bytes that differs in one bit. */
function* flipped(body: Uint8Array): Generator<Uint8Array> {
  for (let bit = 0; bit < body.length * 8; bit += 1) yield withBit(body, bit);
}

function withBit(body: Uint8Array, bit: number): Uint8Array {
  const copy = Uint8Array.from(body);
  const index = bit >> 3;
  copy[index] = (copy[index] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

/**
 * What an EIOTCLUB signature covers, computed apart from the library: types and empties drop out, the rest is text.
 * Equal for two bodies exactly when the scheme can't tell them apart.
 */
function signedContent(body: Uint8Array): string {
  const parsed: Record<string, unknown> = JSON.parse(textOf(body));
  const empty = new Set(['null', '""', '[]', '{}']);
  const members = Object.entries(parsed)
    .filter(([key]) => !['sign', 'appkey', 'appKey', 'app_key'].includes(key))
    .filter(([, value]) => !empty.has(JSON.stringify(value)))
    .map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]);
  return JSON.stringify([members.sort(), String(parsed.sign).toUpperCase()]);
}

const sampleBodies = [
  '{"id":"evt-1","event":"FlowAlert","iccid":"89852000263320817044","alert_type":1,"alert_value":"98.5","timestamp":1746050702,"nonce":90082}',
  '{"timestamp":1746050702,"data":[{"n":"中\\u4e2d\\/","v":1024.0,"i":8944538532008160222},{"2":true,"1":null}],"memo":"","f":false}',
];

describe('one changed bit', () => {
  it.each(sampleBodies)('is rejected anywhere in an EIOTCLUB callback: %s', (text) => {
    const made = signEiotclubCallback(bytes(text), secret);
    if (!made.ok) throw new Error(made.detail);
    let accepted = 0;
    for (const body of flipped(made.body)) {
      if (!verifyEiotclubCallback(body, [secret], any).ok) continue;
      accepted += 1;
      // Only what is not signed may change: the case of the hex, names of empty members.
      expect(signedContent(body)).toBe(signedContent(made.body));
    }
    const letters = made.sign.replace(/[^A-F]/g, '').length;
    expect(accepted).toBeGreaterThanOrEqual(letters);
    expect(accepted).toBeLessThan(made.body.length);
  });

  it('is rejected in a random EIOTCLUB callback under every variant', () => {
    const cases = fc.tuple(arbitrary.objectText, fc.constantFrom(...eiotclubCallbackVariants), fc.nat());
    fc.assert(
      fc.property(cases, ([text, variant, bit]) => {
        const made = signEiotclubCallback(bytes(text), secret, variant);
        fc.pre(made.ok);
        const body = withBit(made.body, bit % (made.body.length * 8));
        const verdict = verifyEiotclubCallback(body, [secret], { variants: [variant] });
        if (verdict.ok) expect(signedContent(body)).toBe(signedContent(made.body));
      }),
      { numRuns: 1000 },
    );
  });

  it('is rejected anywhere in a CSSS callback and in its header', () => {
    const text =
      '{"partner_code":"P1","sim_id":"898","text_message":"发送/x","received_at":1642385160000,"l":[1.0,{"b":"y"}]}';
    for (const variant of csssCallbackVariants.filter((name) => name.startsWith('object'))) {
      const made = signCsssCallback(bytes(text), secret, variant);
      if (!made.ok) throw new Error(made.detail);
      for (const body of flipped(made.body)) {
        expect(verifyCsssCallback(body, made.signature, [secret], any).ok).toBe(false);
      }
      for (const header of flipped(bytes(made.signature))) {
        const spelled = Buffer.from(header).toString('latin1');
        expect(verifyCsssCallback(made.body, spelled, [secret], any).ok).toBe(false);
      }
    }
  });

  it('is rejected anywhere in a CSSS list', () => {
    const text =
      '{"devices":[{"deviceId":"8","expireTime":"x","warningCode":1},{"deviceId":"9","warningCode":3}]}';
    const made = signCsssCallback(bytes(text), secret, 'list/strings-unescaped/empty-dropped/digest-bytes');
    if (!made.ok) throw new Error(made.detail);
    for (const body of flipped(made.body)) {
      expect(verifyCsssCallback(body, made.signature, [secret], any).ok).toBe(false);
    }
  });

  it('is rejected anywhere in a Cube notification and in each of its headers', () => {
    const text =
      '{"event":"demo","data":[{"b":1.0,"a":"中\\u4e2d\\/"}],"created_at":1683524066000,"e":"","n":null}';
    for (const variant of cubeNotificationVariants) {
      const made = signCubeNotification(
        bytes(text),
        { keyId: 'k1', secret, timestampMs: 1683524066000 },
        variant,
      );
      if (!made.ok) throw new Error(made.detail);
      // The body enters every variant in the same way, so the first and the last stand for the rest.
      const ends = [cubeNotificationVariants[0], cubeNotificationVariants.at(-1)];
      for (const body of ends.includes(variant) ? flipped(made.body) : []) {
        expect(verifyCubeNotification(body, made.headers, cubeKeys, any).ok).toBe(false);
      }
      for (const [name, value] of Object.entries(made.headers)) {
        for (const header of flipped(bytes(value))) {
          const headers = { ...made.headers, [name]: Buffer.from(header).toString('latin1') };
          expect(verifyCubeNotification(made.body, headers, cubeKeys, any).ok).toBe(false);
        }
      }
    }
  });

  it('is rejected anywhere in a CSSS request', () => {
    const params = { access_code: 'P1', page_no: 1, package_name: '中国/x', timestamp: '1643253530' };
    const { sign } = signCsssRequest(params, secret);
    for (const body of flipped(bytes(JSON.stringify({ ...params, sign })))) {
      expect(verifyCsssRequest(body, [secret], any).ok).toBe(false);
    }
  });
});

describe('sign, then verify', () => {
  it('holds for every EIOTCLUB variant that can spell the body', () => {
    fc.assert(
      fc.property(arbitrary.plainParams, fc.constantFrom(...eiotclubCallbackVariants), (params, variant) => {
        const made = signEiotclubCallback({ ...params, timestamp: 1746050702 }, secret, variant);
        // Only the re-serialising variants may give up, on numbers that they would not print exactly.
        if (!made.ok) {
          expect(variant).toMatch(/^(?:php|js)-json/);
          return;
        }
        const verdict = verifyEiotclubCallback(made.body, [secret], { variants: [variant] });
        expect(verdict).toEqual({ ok: true, variant, keyIndex: 0, signedAtMs: 1746050702000 });
        expect(verifyEiotclubCallback(made.body, [secret], any).ok).toBe(true);
        expect(verifyEiotclubCallback(made.body, [new Secret('another')], any).ok).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it('holds for EIOTCLUB requests', () => {
    fc.assert(
      fc.property(arbitrary.plainParams, (params) => {
        const { sign } = signEiotclubRequest(params, secret);
        const body = bytes(JSON.stringify({ ...params, sign }));
        expect(verifyEiotclubRequest(body, [secret], any)).toMatchObject({ ok: true });
      }),
      { numRuns: 200 },
    );
  });

  it('holds for every CSSS variant, requests and callbacks', () => {
    const requestVariant = fc.constantFrom(...csssRequestVariants);
    fc.assert(
      fc.property(
        arbitrary.plainParams,
        requestVariant,
        fc.constantFrom(...csssCallbackVariants),
        (params, name, variant) => {
          const { sign } = signCsssRequest(params, secret, csssRequestOptions(name) ?? {});
          const body = bytes(JSON.stringify({ ...params, sign }));
          expect(verifyCsssRequest(body, [secret], { variants: [name] })).toMatchObject({
            ok: true,
            variant: name,
          });
          const content = variant.startsWith('list') ? [{ ...params }] : { ...params };
          const made = signCsssCallback(content, secret, variant);
          if (!made.ok) throw new Error(made.detail);
          const verdict = verifyCsssCallback(made.body, made.signature, [secret], { variants: [variant] });
          expect(verdict).toEqual({ ok: true, variant, keyIndex: 0, signedAtMs: null });
        },
      ),
      { numRuns: 500 },
    );
  });

  it('holds for every Cube variant, whatever the spelling and whitespace of the body', () => {
    fc.assert(
      fc.property(arbitrary.objectText, fc.constantFrom(...cubeNotificationVariants), (text, variant) => {
        const made = signCubeNotification(bytes(text), { keyId: 'k1', secret, timestampMs: 1 }, variant);
        if (!made.ok) throw new Error(made.detail);
        const verdict = verifyCubeNotification(made.body, made.headers, cubeKeys, { variants: [variant] });
        expect(verdict).toEqual({ ok: true, variant, keyIndex: 0, signedAtMs: 1 });
      }),
      { numRuns: 300 },
    );
  });
});

describe('several accepted readings', () => {
  /** What the first reading says that knows the signature, each asked alone: so no shortcut between them counts. */
  const oneByOne = (
    variants: readonly string[],
    verify: (variants: readonly string[]) => Verification,
  ): Verification =>
    variants.map((variant) => verify([variant])).find((v) => v.ok || v.reason !== 'wrong-signature') ??
    verify([]);

  it('take in EIOTCLUB callbacks what each takes alone, and name the first that does', () => {
    const variant = fc.constantFrom(...eiotclubCallbackVariants);
    const cases = fc.tuple(arbitrary.objectText, variant, fc.subarray([...eiotclubCallbackVariants]));
    fc.assert(
      fc.property(cases, ([text, signedBy, accepted]) => {
        const made = signEiotclubCallback(bytes(text), secret, signedBy);
        fc.pre(made.ok);
        const verify = (variants: readonly string[]) =>
          verifyEiotclubCallback(made.body, [secret], { variants });
        expect(verify(accepted)).toEqual(oneByOne(accepted, verify));
        expect(verifyEiotclubCallback(made.body, [secret], any)).toEqual(
          oneByOne(eiotclubCallbackVariants, verify),
        );
      }),
      { numRuns: 1000 },
    );
  });

  it('take in CSSS callbacks what each takes alone, and name the first that does', () => {
    const variant = fc.constantFrom(...csssCallbackVariants);
    const wrapped = fc.constantFrom<(text: string) => string>(
      (text) => text,
      (text) => `[${text}]`,
      (text) => `{"devices":[${text}]}`,
    );
    const cases = fc.tuple(arbitrary.objectText, wrapped, variant, fc.subarray([...csssCallbackVariants]));
    fc.assert(
      fc.property(cases, ([text, wrap, signedBy, accepted]) => {
        const made = signCsssCallback(bytes(wrap(text)), secret, signedBy);
        fc.pre(made.ok);
        const verify = (variants: readonly string[]) =>
          verifyCsssCallback(made.body, made.signature, [secret], { variants });
        expect(verify(accepted)).toEqual(oneByOne(accepted, verify));
        expect(verifyCsssCallback(made.body, made.signature, [secret], any)).toEqual(
          oneByOne(csssCallbackVariants, verify),
        );
      }),
      { numRuns: 1000 },
    );
  });
});

describe('whatever comes in', () => {
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    arbitrary.objectText.map(bytes),
    arbitrary.valueText.map(bytes),
    fc.json().map(bytes),
    fc.string().map(bytes),
    fc
      .dictionary(fc.constantFrom('sign', 'timestamp', 'appkey', 'devices', 'a'), fc.jsonValue())
      .map((o) => bytes(JSON.stringify(o))),
  );
  const signature = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.base64String(),
    fc.constantFrom('', `${'A'.repeat(27)}=`, '0'.repeat(40), 'k1/', `k1/${'0'.repeat(40)}`, '\ud800'),
  );
  const headers = fc.dictionary(
    fc.constantFrom(
      'x-lf-notification-version',
      'x-lf-algo',
      'x-lf-signature',
      'x-lf-timestamp',
      '__proto__',
    ),
    fc.oneof(signature, fc.constantFrom('1.0', 'HMAC-SHA1', '1683524066000')),
  );
  const keys = fc.constantFrom([], [secret], [secret, new Secret('  x\ud800"')]);
  const variants = fc.oneof(
    fc.constant(null),
    fc.array(fc.oneof(fc.string(), fc.constantFrom(...eiotclubCallbackVariants))),
  );

  it('verification, explanation and reading never throw', () => {
    fc.assert(
      fc.property(
        body,
        signature,
        headers,
        keys,
        variants,
        (bytesIn, header, someHeaders, live, accepted) => {
          const options = { variants: accepted };
          const named = live.map((one, index) => ({ keyId: index === 0 ? 'k1' : null, secret: one }));
          readMembers(bytesIn);
          unescapeString(header);
          verifyEiotclubCallback(bytesIn, live, options);
          verifyEiotclubRequest(bytesIn, live, options);
          verifyCsssCallback(bytesIn, header, live, options);
          verifyCsssRequest(bytesIn, live, options);
          verifyCubeNotification(bytesIn, someHeaders, named, options);
          signEiotclubCallback(bytesIn, secret);
          signCsssCallback(bytesIn, secret);
          signCubeNotification(bytesIn, { keyId: 'k1', secret, timestampMs: 1 });
          explainEiotclubCallback(bytesIn, live, options);
          explainCsssCallback(bytesIn, header, live, options);
          explainCubeNotification(bytesIn, someHeaders, named, options);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('signing a request and checking its header never throw', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        signature,
        fc.double(),
        (params, header, time) => {
          const plain: Record<string, fc.JsonValue> = JSON.parse(JSON.stringify(params));
          signEiotclubRequest(plain, secret);
          signCsssRequest(plain, secret);
          const request = {
            method: header,
            path: header,
            query: plain,
            body: plain,
            timestampMs: time,
            nonce: header,
          };
          expect(verifyCubeRequest(request, header, header).ok).toBe(false);
          judgeAge(time, { nowMs: time, maxAgeMs: time, maxFutureMs: time });
        },
      ),
      { numRuns: 200 },
    );
  });
});
