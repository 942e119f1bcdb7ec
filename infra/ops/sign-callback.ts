import type { Json } from '../../shared/core/action.ts';
import type { NamedSecret } from '../../shared/providers/provider.ts';
import {
  Secret,
  signCsssCallback,
  signCubeNotification,
  signEiotclubCallback,
} from '../../shared/signing/index.ts';
import { failed, misused } from './failure.ts';

/** A callback as it goes over the wire. */
export interface SignedMessage {
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

export interface SigningJob {
  readonly provider: string;
  readonly body: { readonly [key: string]: Json };
  /** Signed time, where the scheme has one outside of the body. */
  readonly nowMs: number;
  readonly key: NamedSecret;
  /** Reading of the documentation to sign by; null takes the provider's first. */
  readonly variant: string | null;
}

type Signed =
  | { readonly ok: true; readonly message: SignedMessage }
  | { readonly ok: false; readonly detail: string };

type Signer = (job: SigningJob) => Signed;

/** How each provider signs. Source: protocols/eiotclub.md, section 2; protocols/linksfield.md, sections 4 and 6. */
const signers: Readonly<Record<string, Signer>> = {
  eiotclub: ({ body, key, variant }) => {
    const signed = signEiotclubCallback(body, key.secret, variant ?? undefined);
    return signed.ok ? { ok: true, message: { body: signed.body, headers: {} } } : signed;
  },
  'linksfield-csss': ({ body, key, variant, nowMs }) => {
    const signed = signCsssCallback(body, key.secret, variant ?? undefined);
    if (!signed.ok) return signed;
    const headers = { 'x-lf-md5': signed.signature, 'x-lf-delivery': `simhook-send-${nowMs}` };
    return { ok: true, message: { body: signed.body, headers } };
  },
  'linksfield-cube': ({ body, key, variant, nowMs }) => {
    if (key.keyId === null) return { ok: false, detail: 'the key of linksfield-cube has no key id' };
    const cubeKey = { keyId: key.keyId, secret: key.secret, timestampMs: nowMs };
    const signed = signCubeNotification(body, cubeKey, variant ?? undefined);
    return signed.ok ? { ok: true, message: { body: signed.body, headers: signed.headers } } : signed;
  },
};

/** Signs a body as the provider would. Throws OpsError when the provider has no scheme or the body can't be signed. */
export function signAsProvider(job: SigningJob): SignedMessage {
  const signer = Object.hasOwn(signers, job.provider) ? signers[job.provider] : undefined;
  if (!signer)
    throw misused(`simhook can't sign for "${job.provider}"; it can for ${Object.keys(signers).join(', ')}`);
  const signed = signer(job);
  if (!signed.ok) throw failed(`the callback can't be signed: ${signed.detail}`);
  return { ...signed.message, headers: { 'content-type': 'application/json', ...signed.message.headers } };
}

/** The same body without any signature. */
export function unsignedMessage(body: { readonly [key: string]: Json }): SignedMessage {
  return { body: Buffer.from(JSON.stringify(body)), headers: { 'content-type': 'application/json' } };
}

/** A key that nobody has, to forge with: same key id, another value. */
export function wrongKey(key: NamedSecret, randomHex: string): NamedSecret {
  return { keyId: key.keyId, secret: new Secret(randomHex) };
}
