import type { CallbackSide } from '../provider.ts';
import { isUnsigned, verify } from './callback-scheme.ts';
import { readCallback } from './callback-wire.ts';

/** The receiving half of EIOTCLUB. */
export const callbacks: CallbackSide = {
  id: 'eiotclub',
  // Source: protocols/eiotclub.md, section 2: the signature is in the body, no header matters.
  evidenceHeaders: ['content-type'],
  isUnsigned,
  verify,
  read: readCallback,
  // Source: section 3.3: HTTP 200 (D), the body was cut off (U). The provider's own envelope is the best guess (I).
  acknowledgement: { contentType: 'application/json', body: '{"code":"200","message":"SUCCESS"}' },
};
