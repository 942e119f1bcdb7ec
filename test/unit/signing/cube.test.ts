import { createHmac, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  type CubeRequest,
  cubeCanonical,
  cubeNotificationVariants,
  Secret,
  signCubeNotification,
  signCubeRequest,
  verifyCubeNotification,
  verifyCubeRequest,
} from '../../../shared/signing/index.ts';

const any = { variants: null };
const bytes = (text: string): Uint8Array => Buffer.from(text);
const pair = generateKeyPairSync('rsa', {
  modulusLength: 1024,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
const key = { keyId: '0123456789abcdef0123456789abcdef', privateKey: new Secret(pair.privateKey) };

const request: CubeRequest = {
  method: 'POST',
  path: '/cube/v4/orders/service',
  query: { page_no: 1, status: [0, 1, 2], q: '', none: null },
  body: {
    items: [{ quantity: 1, id: 'CP-1', sim_ids: ['b', 'a'] }],
    extra: { remarks: 'a b', po: 'x' },
    memo: '',
    n: null,
  },
  timestampMs: 1674197059220,
  nonce: 7,
};

describe('Cube v4 request signature', () => {
  it('sorts at every depth, keeps lists and body types, makes query and header values strings, drops empties', () => {
    expect(cubeCanonical(request)).toBe(
      '{"extra":{"po":"x","remarks":"a b"},"items":[{"id":"CP-1","quantity":1,"sim_ids":["b","a"]}],"nonce":"7",' +
        '"page_no":"1","status":"0,1,2","timestamp":"1674197059220","x-sign-uri":"/cube/v4/orders/service"}',
    );
  });

  it('signs no body for GET, and sorts integer-like keys as text', () => {
    const get = { ...request, method: 'GET', query: { '10': 'a', '9': 'b' } };
    expect(cubeCanonical(get)).toBe(
      '{"10":"a","9":"b","nonce":"7","timestamp":"1674197059220","x-sign-uri":"/cube/v4/orders/service"}',
    );
  });

  it.each(['compact', 'no-spaces'] as const)('signs and verifies %s', (variant) => {
    const { authorization, canonical } = signCubeRequest(request, key, variant);
    expect(authorization).toMatch(/^LF 0123456789abcdef0123456789abcdef\/[A-Za-z0-9+/]{171}=$/);
    expect(canonical.includes(' ')).toBe(variant === 'compact');
    const expected = { ok: true, variant, keyIndex: 0, signedAtMs: 1674197059220 };
    expect(verifyCubeRequest(request, authorization, pair.publicKey)).toEqual(expected);
    const other = { variants: [variant === 'compact' ? 'no-spaces' : 'compact'] };
    expect(verifyCubeRequest(request, authorization, pair.publicKey, other)).toMatchObject({
      reason: 'wrong-signature',
    });
  });

  it('rejects a change of any part', () => {
    const { authorization } = signCubeRequest(request, key);
    for (const change of [
      { path: '/cube/v4/orders/other' },
      { nonce: 8 },
      { timestampMs: 1674197059221 },
      { query: { ...request.query, page_no: 2 } },
      { body: { ...request.body, x: 1 } },
      { method: 'GET' },
    ]) {
      const verdict = verifyCubeRequest({ ...request, ...change }, authorization, pair.publicKey);
      expect(verdict).toMatchObject({ ok: false, reason: 'wrong-signature' });
    }
  });

  it('answers missing, malformed and unusable input without throwing', () => {
    const { authorization } = signCubeRequest(request, key);
    const reason = (value: string | undefined, pem = pair.publicKey): unknown =>
      verifyCubeRequest(request, value, pem);
    expect(reason(undefined)).toMatchObject({ reason: 'missing-signature' });
    for (const bad of [
      'LF x',
      'LF /AAAA',
      'Bearer x/AAAA',
      authorization.replace('=', ''),
      `${authorization}\n`,
    ]) {
      expect(reason(bad)).toMatchObject({ reason: 'malformed-signature' });
    }
    expect(reason(authorization, 'not a key')).toMatchObject({ reason: 'no-secret' });
  });

  it('throws for a private key that cannot be used, without showing it', () => {
    const bad = { keyId: 'k1', privateKey: new Secret('-----BEGIN nonsense-----') };
    expect(() => signCubeRequest(request, bad)).toThrow(/private key of k1 can't sign/);
    expect(() => signCubeRequest(request, bad)).not.toThrow(/nonsense/);
  });
});

describe('verifyCubeNotification', () => {
  const secret = new Secret('00112233445566778899aabbccddeeff');
  const keys = [{ keyId: 'k1', secret }];
  const body = bytes('{"b":{"y":1.0,"x":"\\u4e2d\\/"}, "a":[2,1],"10":1,"9":8944538532008160222,"n":null}');
  const headers = (signature: string): Record<string, string> => ({
    'x-lf-notification-version': '1.0',
    'x-lf-algo': 'HMAC-SHA1',
    'x-lf-signature': `k1/${signature}`,
    'x-lf-timestamp': '1683524066000',
  });
  const text =
    '{"10":1,"9":8944538532008160222,"a":[2,1],"b":{"y":1.0,"x":"\\u4e2d\\/"},"n":null}1.0:HMAC-SHA1:1683524066000';
  const digest = createHmac('sha1', Buffer.from(secret.reveal(), 'hex')).update(text).digest();
  const good = headers(digest.toString('base64'));
  const without = (name: string): Record<string, string> =>
    Object.fromEntries(Object.entries(good).filter(([header]) => header !== name));

  it('sorts the top level only and keeps every spelling', () => {
    const verdict = verifyCubeNotification(body, good, keys, any);
    const variant = 'none/key_hex_decoded/base64';
    expect(verdict).toEqual({ ok: true, variant, keyIndex: 0, signedAtMs: 1683524066000 });
  });

  it('splits the signature at the first slash, since Base64 may hold more', () => {
    const slashed = Array.from({ length: 200 }, (_, n) =>
      signCubeNotification({ n }, { keyId: 'k1', secret, timestampMs: 1 }),
    )
      .flatMap((made) => (made.ok ? [made] : []))
      .filter((made) => (made.headers['x-lf-signature'] ?? '').split('/').length > 2);
    expect(slashed.length).toBeGreaterThan(10);
    for (const made of slashed)
      expect(verifyCubeNotification(made.body, made.headers, keys, any).ok).toBe(true);
  });

  it('finds the key by its id, also among two values of one id, and a key without an id fits all', () => {
    const fresh = new Secret('ffeeddccbbaa99887766554433221100');
    const both = [
      { keyId: 'k0', secret },
      { keyId: 'k1', secret: fresh },
      { keyId: 'k1', secret },
    ];
    expect(verifyCubeNotification(body, good, both, any)).toMatchObject({ ok: true, keyIndex: 2 });
    expect(verifyCubeNotification(body, good, [{ keyId: null, secret }], any)).toMatchObject({
      ok: true,
      keyIndex: 0,
    });
    expect(verifyCubeNotification(body, good, [{ keyId: 'k2', secret }], any)).toMatchObject({
      reason: 'unknown-key',
    });
    expect(verifyCubeNotification(body, good, [{ keyId: 'k1', secret: fresh }], any)).toMatchObject({
      reason: 'wrong-signature',
    });
    expect(verifyCubeNotification(body, good, [], any)).toMatchObject({ reason: 'no-secret' });
  });

  it('accepts only pinned variants', () => {
    for (const variant of cubeNotificationVariants) {
      const verdict = verifyCubeNotification(body, good, keys, { variants: [variant] });
      expect(verdict.ok).toBe(variant === 'none/key_hex_decoded/base64');
    }
  });

  it.each([
    ['x-lf-signature', 'missing-signature'],
    ['x-lf-algo', 'unsupported-algorithm'],
    ['x-lf-timestamp', 'malformed-timestamp'],
    ['x-lf-notification-version', 'malformed-signature'],
  ])('answers a missing %s with %s', (name, reason) => {
    expect(verifyCubeNotification(body, without(name), keys, any)).toMatchObject({ ok: false, reason });
  });

  it.each([
    ['x-lf-algo', 'HMAC-SHA256', 'unsupported-algorithm'],
    ['x-lf-algo', 'hmac-sha1', 'unsupported-algorithm'],
    ['x-lf-timestamp', '1683524066000.0', 'malformed-timestamp'],
    ['x-lf-timestamp', ' 1683524066000', 'malformed-timestamp'],
    ['x-lf-timestamp', '01683524066000', 'malformed-timestamp'],
    ['x-lf-timestamp', '1e12', 'malformed-timestamp'],
    ['x-lf-timestamp', '-1', 'malformed-timestamp'],
    ['x-lf-timestamp', '1683524066001', 'wrong-signature'],
    ['x-lf-notification-version', '1.1', 'wrong-signature'],
    ['x-lf-notification-version', ':1.0', 'malformed-signature'],
    ['x-lf-signature', 'k1', 'malformed-signature'],
    ['x-lf-signature', '/AAAA', 'malformed-signature'],
    ['x-lf-signature', 'k1/', 'malformed-signature'],
    ['x-lf-signature', `k1/${'_'.repeat(26)}8=`, 'malformed-signature'],
    ['x-lf-signature', `k1/${digest.toString('base64').replace('=', '')}`, 'malformed-signature'],
    ['x-lf-signature', `k1/${digest.toString('hex').toUpperCase()}`, 'malformed-signature'],
    ['x-lf-signature', 'k1/aGVsbG8=', 'malformed-signature'],
  ])('answers %s: %s with %s', (name, value, reason) => {
    const verdict = verifyCubeNotification(body, { ...good, [name]: value }, keys, any);
    expect(verdict).toMatchObject({ ok: false, reason });
  });

  it('answers malformed-body for what is not one JSON object', () => {
    for (const text of ['', '[]', '{"a":1,"a":1}', '{']) {
      expect(verifyCubeNotification(bytes(text), good, keys, any)).toMatchObject({
        reason: 'malformed-body',
      });
    }
  });

  it('names what it cannot sign', () => {
    const words = { keyId: 'k1', secret: new Secret('not hex'), timestampMs: 1 };
    expect(signCubeNotification({ a: 1 }, words)).toMatchObject({ reason: 'not-signable' });
    expect(signCubeNotification({ a: 1 }, words, 'x')).toMatchObject({ reason: 'unknown-variant' });
    expect(signCubeNotification(bytes('['), words)).toMatchObject({ reason: 'malformed-body' });
  });
});
