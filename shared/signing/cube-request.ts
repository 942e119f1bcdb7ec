import { sign, verify } from 'node:crypto';
import { fromCanonicalBase64, toBase64 } from './digest.ts';
import { isBlank, isList, type JsonInput, jsonText } from './json-input.ts';
import { compareUtf16 } from './key-value-text.ts';
import type { Secret } from './secret.ts';
import type { Verification } from './verification.ts';

export interface CubeRequest {
  readonly method: string;
  /** With its parameters filled in and with `/cube/v4`, without the query. */
  readonly path: string;
  readonly query: Readonly<Record<string, JsonInput>>;
  /** Top-level fields of the JSON body; null when there is none. Signed for POST, PUT, PATCH and DELETE. */
  readonly body: Readonly<Record<string, JsonInput>> | null;
  /** Value of the header `timestamp`, epoch milliseconds. */
  readonly timestampMs: number;
  /** Value of the header `nonce`, a random whole number. */
  readonly nonce: string | number;
}

/** `compact` keeps spaces inside values; `no-spaces` removes them all, as the official Python sample does. */
export const cubeRequestVariants = ['compact', 'no-spaces'] as const;
export type CubeRequestVariant = (typeof cubeRequestVariants)[number];

export interface SignedCubeRequest {
  /** Value of the header `Authorization`: `LF {keyId}/{sign}`. */
  readonly authorization: string;
  /** What was signed. */
  readonly canonical: string;
}

const methodsWithBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

/**
 * The text that a Cube v4 request signs: compact JSON of headers, path, query and body fields in one object.
 * Header and query values are strings (lists joined by commas), body values keep their type, null and empty
 * strings stay out, keys are sorted at every depth, lists keep their order. Where a name occurs in several places the
 * header wins, then the body.
 * Source: protocols/linksfield.md, section 5.2.
 */
export function cubeCanonical(request: CubeRequest, variant: CubeRequestVariant = 'compact'): string {
  const fields = new Map<string, JsonInput>();
  for (const [name, value] of Object.entries(request.query)) fields.set(name, queryText(value));
  if (methodsWithBody.has(request.method.toUpperCase())) {
    for (const [name, value] of Object.entries(request.body ?? {})) fields.set(name, value);
  }
  fields.set('timestamp', String(request.timestampMs));
  fields.set('nonce', String(request.nonce));
  fields.set('x-sign-uri', request.path);
  const members = [...fields].filter(([, value]) => !isBlank(value)).sort(([a], [b]) => compareUtf16(a, b));
  const text = members
    .map(([name, value]) => `${JSON.stringify(name)}:${jsonText(value, 'sorted')}`)
    .join(',');
  return variant === 'no-spaces' ? `{${text}}`.replaceAll(' ', '') : `{${text}}`;
}

function queryText(value: JsonInput): string | null {
  if (isBlank(value)) return null;
  if (isList(value)) return value.map((item) => (isBlank(item) ? '' : plainText(item))).join(',');
  return plainText(value);
}

function plainText(value: JsonInput): string {
  return typeof value === 'string' ? value : jsonText(value, 'sorted');
}

/**
 * Signs a Cube v4 request with SHA1withRSA (PKCS#1 v1.5). Throws a RangeError when the private key can't be used,
 * without showing it: that is a fault of the configuration, not of the request.
 * Source: protocols/linksfield.md, sections 5.1 and 5.2 (signature v2).
 */
export function signCubeRequest(
  request: CubeRequest,
  key: { readonly keyId: string; readonly privateKey: Secret },
  variant: CubeRequestVariant = 'compact',
): SignedCubeRequest {
  const canonical = cubeCanonical(request, variant);
  const signature = rsaSign(canonical, key.privateKey);
  if (signature === null) {
    throw new RangeError(`the private key of ${key.keyId} can't sign: give an RSA private key in PEM form`);
  }
  return { authorization: `LF ${key.keyId}/${toBase64(signature)}`, canonical };
}

function rsaSign(text: string, privateKey: Secret): Uint8Array | null {
  try {
    return sign('sha1', Buffer.from(text), privateKey.reveal());
  } catch {
    return null;
  }
}

/**
 * Checks the `Authorization` header of a Cube v4 request the way a server would. For servers and tests.
 * Fails with missing-signature, malformed-signature, wrong-signature or no-secret (a public key that can't be used);
 * never throws. `keyIndex` is 0: the caller chose the key.
 * Source: protocols/linksfield.md, sections 5.1 and 5.2.
 */
export function verifyCubeRequest(
  request: CubeRequest,
  authorization: string | undefined,
  publicKeyPem: string,
  options: { readonly variants: readonly string[] | null } = { variants: null },
): Verification {
  if (authorization === undefined || authorization === '') {
    return { ok: false, reason: 'missing-signature', detail: 'the header Authorization is not there' };
  }
  const match = /^LF ([^/\s]{1,200})\/([A-Za-z0-9+/=]+)$/.exec(authorization);
  const signature = fromCanonicalBase64(match?.[2] ?? '');
  if (signature === null) {
    return { ok: false, reason: 'malformed-signature', detail: 'Authorization must be: LF keyId/Base64' };
  }
  for (const variant of cubeRequestVariants) {
    if (options.variants !== null && !options.variants.includes(variant)) continue;
    const verdict = rsaVerify(cubeCanonical(request, variant), publicKeyPem, signature);
    if (verdict === null)
      return { ok: false, reason: 'no-secret', detail: 'the public key is not a PEM key' };
    if (verdict) return { ok: true, variant, keyIndex: 0, signedAtMs: request.timestampMs };
  }
  return { ok: false, reason: 'wrong-signature', detail: 'no accepted variant matches the public key' };
}

function rsaVerify(text: string, publicKeyPem: string, signature: Uint8Array): boolean | null {
  try {
    return verify('sha1', Buffer.from(text), publicKeyPem, signature);
  } catch {
    return null;
  }
}
