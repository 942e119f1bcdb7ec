import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { epochMs, minutes } from '../../../../shared/core/time.ts';
import { callbackOf } from '../../../../shared/providers/callback.ts';
import { linksfieldCsssCallbacks } from '../../../../shared/providers/linksfield-csss/callback-scheme.ts';
import { Secret } from '../../../../shared/signing/index.ts';

const secretText = 'callback-secret-0001';
const options = {
  now: epochMs(1_700_000_000_000),
  variants: null,
  maxAge: minutes(10),
  maxFuture: minutes(10),
};
const key = (text: string) => ({ keyId: null, secret: new Secret(text) });

// Base64(MD5("k1=v1&k2=v2&secret")), keys in dictionary order. Source: protocols/linksfield.md, section 4.
const bodyText = '{"status":"1008","order_id":"L1","device_id":"89852022018041800192"}';
const signed = `device_id=89852022018041800192&order_id=L1&status=1008&${secretText}`;
const md5 = createHash('md5').update(signed).digest();

function callback(headers: Record<string, string>, text = bodyText) {
  return callbackOf(new TextEncoder().encode(text), headers);
}

describe('signature of a CSSS callback', () => {
  test.each([
    ['the 16 bytes', md5.toString('base64')],
    ['the hex text', Buffer.from(md5.toString('hex')).toString('base64')],
  ])('accepts Base64 of %s', (_name, signature) => {
    const seen = callback({ 'x-lf-md5': signature });
    expect(linksfieldCsssCallbacks.isUnsigned(seen)).toBe(false);
    const verification = linksfieldCsssCallbacks.verify(seen, [key('other'), key(secretText)], options);
    expect(verification).toMatchObject({ ok: true, keyIndex: 1, signedAtMs: null });
  });

  test('refuses a changed body, another secret, no keys and a pinned other variant', () => {
    const headers = { 'x-lf-md5': md5.toString('base64') };
    const verify = linksfieldCsssCallbacks.verify;
    const changed = callback(headers, bodyText.replace('1008', '1009'));
    expect(verify(changed, [key(secretText)], options)).toMatchObject({ reason: 'wrong-signature' });
    expect(verify(callback(headers), [key('other')], options)).toMatchObject({ reason: 'wrong-signature' });
    expect(verify(callback(headers), [], options)).toMatchObject({ reason: 'no-secret' });
    const pinned = { ...options, variants: ['list/strings-unescaped/empty-dropped/digest-bytes'] };
    expect(verify(callback(headers), [key(secretText)], pinned)).toMatchObject({ ok: false });
  });

  test('calls a callback without the header, or with a blank one, unsigned and never verified', () => {
    for (const headers of [{}, { 'x-lf-md5': ' ' }, { 'x-lf-delivery': 'd-1' }]) {
      const seen = callback(headers);
      expect(linksfieldCsssCallbacks.isUnsigned(seen)).toBe(true);
      const verification = linksfieldCsssCallbacks.verify(seen, [key(secretText)], options);
      expect(verification).toMatchObject({ ok: false, reason: 'missing-signature' });
    }
  });

  test('keeps the delivery id as evidence and out of the identity', () => {
    expect(linksfieldCsssCallbacks.evidenceHeaders).toEqual(['x-lf-md5', 'x-lf-delivery']);
    const context = { currency: 'USD' };
    const one = linksfieldCsssCallbacks.read(callback({ 'x-lf-delivery': 'd-1' }), context);
    const two = linksfieldCsssCallbacks.read(callback({ 'x-lf-delivery': 'd-2' }), context);
    expect(one).toEqual(two);
  });

  test('never shows the secret in a rejection', () => {
    const verification = linksfieldCsssCallbacks.verify(
      callback({ 'x-lf-md5': md5.toString('base64') }, '{}'),
      [key(secretText)],
      options,
    );
    expect(JSON.stringify(verification)).not.toContain(secretText);
  });
});
