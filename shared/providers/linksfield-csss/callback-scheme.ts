import { verifyCsssCallback } from '../../signing/index.ts';
import type { CallbackSide } from '../provider.ts';
import { csssId, readCsssCallback } from './callback-wire.ts';

const signatureHeader = 'x-lf-md5';

/**
 * The receiving half of CSSS. The MD5 covers the body only and holds no time, so a good signature says nothing of
 * when it was made: a captured callback can be sent again, and only the memory of facts stops it.
 * Source: protocols/linksfield.md, section 4.
 */
export const linksfieldCsssCallbacks: CallbackSide = {
  id: csssId,
  // The delivery id is not signed: it is kept as evidence and never used to tell facts apart.
  evidenceHeaders: [signatureHeader, 'x-lf-delivery'],
  // Both headers are optional, and order status changes were documented to come without them
  // (E/api-42599706). A blank header counts as none; either way the fact is trusted less, never more.
  isUnsigned: ({ headers }) => signatureOf(headers) === undefined,
  verify: ({ json, headers }, keys, { variants }) =>
    verifyCsssCallback(
      json,
      signatureOf(headers),
      keys.map(({ secret }) => secret),
      { variants },
    ),
  read: ({ json }) => readCsssCallback(json),
  // What CSSS expects is not documented; this is the envelope of its own good replies (section 2), inferred.
  acknowledgement: {
    contentType: 'application/json',
    body: '{"code":"0000","message":"success","success":true}',
  },
};

function signatureOf(headers: Readonly<Record<string, string>>): string | undefined {
  const value = Object.hasOwn(headers, signatureHeader) ? headers[signatureHeader]?.trim() : undefined;
  return value === '' ? undefined : value;
}
