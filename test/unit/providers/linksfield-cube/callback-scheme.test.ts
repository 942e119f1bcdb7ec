import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { epochMs, minutes } from '../../../../shared/core/time.ts';
import { callbackOf } from '../../../../shared/providers/callback.ts';
import { linksfieldCubeCallbacks } from '../../../../shared/providers/linksfield-cube/callback-scheme.ts';
import { Secret } from '../../../../shared/signing/index.ts';

const keyHex = '00112233445566778899aabbccddeeff';
const signedAt = 1_683_524_066_000;
const key = { keyId: 'key-1', secret: new Secret(keyHex) };
const options = {
  now: epochMs(signedAt + 1_000),
  variants: null,
  maxAge: minutes(30),
  maxFuture: minutes(10),
};

// Sorted top-level members, then `{version}:{algo}:{timestamp}`. Source: protocols/linksfield.md, section 6.
const bodyText = '{"event":"demo","data":[{"b":1,"a":2}],"created_at":1683524066000}';
const sorted = '{"created_at":1683524066000,"data":[{"b":1,"a":2}],"event":"demo"}';

function callback(changes: Record<string, string> = {}, text = bodyText) {
  const signature = createHmac('sha1', Buffer.from(keyHex, 'hex'))
    .update(`${sorted}1.0:HMAC-SHA1:${signedAt}`)
    .digest('base64');
  const headers = {
    'x-lf-notification-version': '1.0',
    'x-lf-algo': 'HMAC-SHA1',
    'x-lf-signature': `key-1/${signature}`,
    'x-lf-timestamp': String(signedAt),
    ...changes,
  };
  return callbackOf(new TextEncoder().encode(text), headers);
}

describe('signature of a Cube notification', () => {
  const verify = linksfieldCubeCallbacks.verify;

  test('accepts a good one, and says which reading and key matched', () => {
    const other = { keyId: 'key-0', secret: new Secret('ff') };
    expect(verify(callback(), [other, key], options)).toEqual({
      ok: true,
      variant: 'none/key_hex_decoded/base64',
      keyIndex: 1,
      signedAtMs: signedAt,
    });
  });

  test.each([
    ['a changed body', callback({}, bodyText.replace('demo', 'demi')), 'wrong-signature'],
    ['a changed time', callback({ 'x-lf-timestamp': String(signedAt + 1) }), 'wrong-signature'],
    ['another key id', callback({ 'x-lf-signature': 'key-9/B29PdNRWNmdcv1Drms+59p1licQ=' }), 'unknown-key'],
    ['another algorithm', callback({ 'x-lf-algo': 'NONE' }), 'unsupported-algorithm'],
    ['no signature', callback({ 'x-lf-signature': '' }), 'missing-signature'],
  ])('refuses %s', (_name, seen, reason) => {
    expect(verify(seen, [key], options)).toMatchObject({ ok: false, reason });
  });

  test.each([
    ['at the age limit', signedAt + 30 * 60_000, 'fresh'],
    ['past the age limit', signedAt + 30 * 60_000 + 1, 'stale-timestamp'],
    ['at the limit ahead', signedAt - 10 * 60_000, 'fresh'],
    ['too far ahead', signedAt - 10 * 60_000 - 1, 'future-timestamp'],
  ])('judges the signed time: %s', (_name, now, verdict) => {
    const verification = verify(callback(), [key], { ...options, now: epochMs(now) });
    expect(verification.ok ? 'fresh' : verification.reason).toBe(verdict);
  });

  test('is never merely missing: an unsigned notification is refused', () => {
    const bare = callbackOf(new TextEncoder().encode(bodyText), {});
    expect(linksfieldCubeCallbacks.isUnsigned(bare)).toBe(false);
    expect(verify(bare, [key], options)).toMatchObject({ ok: false, reason: 'missing-signature' });
    expect(verify(callback(), [], options)).toMatchObject({ ok: false, reason: 'no-secret' });
  });
});
