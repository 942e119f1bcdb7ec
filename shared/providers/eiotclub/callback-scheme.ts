import { judgeAge, type Verification, verifyEiotclubCallback } from '../../signing/index.ts';
import type { Callback } from '../callback.ts';
import type { NamedSecret, VerifyOptions } from '../provider.ts';

/**
 * True when the body is a JSON object whose `sign` is missing, null or empty.
 * Every documented event carries one, so a stage needs a good reason to accept a callback without it.
 * Source: protocols/eiotclub.md, section 2 (sign is on all event pages).
 */
export function isUnsigned({ json }: Callback): boolean {
  const root = json();
  if (!root.ok || root.kind !== 'object') return false;
  const sign = root.members.find((member) => member.key === 'sign');
  return sign === undefined || sign.valueText === 'null' || sign.valueText === '""';
}

/**
 * Checks the signature in the body, then the age of the signed timestamp.
 * A body without a readable timestamp is refused, since it could be replayed for ever.
 * Source: protocols/eiotclub.md, section 2 (signature; timestamp on every event page; replay window U, so it
 * comes from the stage).
 */
export function verify(
  callback: Callback,
  keys: readonly NamedSecret[],
  options: VerifyOptions,
): Verification {
  const secrets = keys.map((key) => key.secret);
  const result = verifyEiotclubCallback(callback.json, secrets, { variants: options.variants });
  if (!result.ok) return result;
  if (result.signedAtMs === null) {
    return { ok: false, reason: 'malformed-timestamp', detail: 'the signed body has no readable timestamp' };
  }
  const age = judgeAge(result.signedAtMs, {
    nowMs: options.now,
    maxAgeMs: options.maxAge,
    maxFutureMs: options.maxFuture,
  });
  if (age === 'fresh') return result;
  const offSec = Math.round((options.now - result.signedAtMs) / 1_000);
  return { ok: false, reason: age, detail: `signed ${offSec} s before now` };
}
