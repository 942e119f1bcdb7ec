import { judgeAge, verifyCubeNotification } from '../../signing/index.ts';
import type { CallbackSide } from '../provider.ts';
import { cubeId, readCubeNotification } from './callback-wire.ts';

/**
 * The receiving half of Cube. The signed time is judged apart from the bytes. Whether a retry (30 in 24 hours) or a
 * resend from the console is signed afresh is not documented, so the stage's `maxAge` decides what is too old.
 * Source: protocols/linksfield.md, section 6.
 */
export const linksfieldCubeCallbacks: CallbackSide = {
  id: cubeId,
  evidenceHeaders: ['x-lf-notification-version', 'x-lf-algo', 'x-lf-signature', 'x-lf-timestamp'],
  // Every notification is signed, so one without a signature is refused and never taken as merely unsigned.
  isUnsigned: () => false,
  verify: ({ json, headers }, keys, { now, variants, maxAge, maxFuture }) => {
    const verification = verifyCubeNotification(json, headers, keys, { variants });
    if (!verification.ok) return verification;
    const age = judgeAge(verification.signedAtMs, {
      nowMs: now,
      maxAgeMs: maxAge,
      maxFutureMs: maxFuture,
    });
    if (age === 'fresh') return verification;
    const detail = `x-lf-timestamp is ${verification.signedAtMs}, now is ${now}, allowed are ${maxAge} ms back and ${maxFuture} ms ahead`;
    return { ok: false, reason: age, detail };
  },
  read: ({ json }) => readCubeNotification(json),
  // What counts as received is not documented; this is the envelope of Cube's own good replies (section 5.1),
  // inferred.
  acknowledgement: {
    contentType: 'application/json',
    body: '{"status":{"code":"CB-00-0000","message":"success"}}',
  },
};
