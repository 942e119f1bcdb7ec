import { fromCanonicalBase64, hmacSha1, sameBytes, toBase64, toHex } from './digest.ts';
import { type JsonInput, jsonText } from './json-input.ts';
import { compareUtf16 } from './key-value-text.ts';
import { compactText, type JsonBody, type RawMember, readMembers } from './raw-json.ts';
import type { Secret } from './secret.ts';
import type { VariantOptions, Verification } from './verification.ts';

const joiners = [
  ['none', ''],
  ['colon', ':'],
  ['newline', '\n'],
] as const;
const keyForms = ['key_hex_decoded', 'key_as_text'] as const;
const outputs = ['base64', 'hex'] as const;

export interface CubeReading {
  readonly name: string;
  readonly joiner: '' | ':' | '\n';
  readonly keyForm: (typeof keyForms)[number];
  readonly output: (typeof outputs)[number];
}

export const cubeReadings: readonly CubeReading[] = joiners.flatMap(([joinerName, joiner]) =>
  keyForms.flatMap((keyForm) =>
    outputs.map((output) => ({ name: `${joinerName}/${keyForm}/${output}`, joiner, keyForm, output })),
  ),
);

/**
 * Names of all readings of the notification rule: `{joiner}/{form of the key}/{form of the signature}`.
 * Source: protocols/linksfield.md, section 6; names as in linksfield-vectors.json, syn-cube-notification-variants.
 */
export const cubeNotificationVariants: readonly string[] = cubeReadings.map(({ name }) => name);

/** One notification key. A null id fits every id that a message names. */
export interface CubeKey {
  readonly keyId: string | null;
  readonly secret: Secret;
}

/**
 * Checks a notification: HMAC-SHA1 over the body with its top-level members sorted and `{version}:{algo}:{timestamp}`.
 *
 * Members keep their own text; only whitespace between tokens and the order of the top-level members can change
 * without the signature noticing. Headers are looked up by lower-case name. Hex must be lower case and Base64
 * canonical, so that a signature has one spelling. The key id names a key and is not itself signed.
 * The joiner is not known, so both `""` and `:` are accepted: the version is therefore held to digits and dots, which
 * leaves no way to move a character from the joiner into the version.
 *
 * Fails with no-secret, missing-signature, malformed-signature, unsupported-algorithm, malformed-timestamp,
 * unknown-key, malformed-body or wrong-signature; never throws. `keyIndex` counts in `keys` as given.
 * Source: protocols/linksfield.md, section 6.
 */
export function verifyCubeNotification(
  body: JsonBody,
  headers: Readonly<Record<string, string>>,
  keys: readonly CubeKey[],
  options: VariantOptions,
): Verification {
  if (keys.length === 0) return { ok: false, reason: 'no-secret', detail: 'no key was given' };
  const given = readCubeHeaders(headers);
  if (!given.ok) return given;
  const named = keys.flatMap((key, keyIndex) =>
    key.keyId === null || key.keyId === given.keyId ? [{ ...key, keyIndex }] : [],
  );
  if (named.length === 0) {
    const detail = `no live key has the id that x-lf-signature names (${given.keyId.length} characters)`;
    return { ok: false, reason: 'unknown-key', detail };
  }
  const read = readMembers(body);
  if (!read.ok) return { ok: false, reason: 'malformed-body', detail: `${read.reason}: ${read.detail}` };
  const message = sortedMessage(read.members);
  const texts = new Map<string, Uint8Array>();
  for (const reading of cubeReadings) {
    if (reading.output !== given.output) continue;
    if (options.variants !== null && !options.variants.includes(reading.name)) continue;
    const text = texts.get(reading.joiner) ?? Buffer.from(message + reading.joiner + given.headerText);
    texts.set(reading.joiner, text);
    const key = named.find(({ secret }) => {
      const digest = cubeDigest(text, secret.reveal(), reading.keyForm);
      return digest !== null && sameBytes(digest, given.digest);
    });
    if (key === undefined) continue;
    return { ok: true, variant: reading.name, keyIndex: key.keyIndex, signedAtMs: given.timestampMs };
  }
  return { ok: false, reason: 'wrong-signature', detail: 'no accepted variant matches with any live key' };
}

/** The body with its top-level members sorted, each in its own text without whitespace between tokens. */
export function sortedMessage(members: readonly RawMember[]): string {
  const sorted = members.toSorted((a, b) => compareUtf16(a.key, b.key));
  return `{${sorted.map(({ keyText, valueText }) => `${keyText}:${compactText(valueText)}`).join(',')}}`;
}

/** HMAC-SHA1 over the text under the key in one of its two forms; null when it isn't hex but should be decoded. */
export function cubeDigest(
  text: string | Uint8Array,
  key: string,
  keyForm: CubeReading['keyForm'],
): Uint8Array | null {
  if (keyForm === 'key_as_text') return hmacSha1(key, text);
  return /^(?:[0-9a-fA-F]{2})+$/.test(key) ? hmacSha1(key, text, 'hex') : null;
}

interface CubeHeaders {
  readonly ok: true;
  readonly keyId: string;
  readonly digest: Uint8Array;
  readonly output: CubeReading['output'];
  readonly headerText: string;
  readonly timestampMs: number;
}

type RejectedHeaders = Verification & { readonly ok: false };

/** Reads the four headers; each must be there and in its one documented form. */
function readCubeHeaders(headers: Readonly<Record<string, string>>): CubeHeaders | RejectedHeaders {
  const signature = header(headers, 'x-lf-signature');
  if (signature === null) return refused('missing-signature', 'the header x-lf-signature is not there');
  const algo = header(headers, 'x-lf-algo');
  if (algo !== 'HMAC-SHA1') {
    const seen = algo === null ? 'is not there' : `is ${JSON.stringify(algo.slice(0, 40))}`;
    return refused('unsupported-algorithm', `the header x-lf-algo ${seen}, but must be HMAC-SHA1`);
  }
  const version = header(headers, 'x-lf-notification-version');
  if (version === null || !/^\d{1,4}(?:\.\d{1,4}){0,3}$/.test(version)) {
    return refused(
      'malformed-signature',
      'the header x-lf-notification-version must be a version such as 1.0',
    );
  }
  const timestamp = header(headers, 'x-lf-timestamp');
  if (timestamp === null || !/^[1-9]\d{0,14}$/.test(timestamp)) {
    return refused(
      'malformed-timestamp',
      'the header x-lf-timestamp must be epoch milliseconds, digits only',
    );
  }
  const parts = readSignature(signature);
  if (parts === null) {
    const detail =
      'x-lf-signature must be keyId/signature, the latter Base64 of 20 bytes or 40 lower-case hex digits';
    return refused('malformed-signature', detail);
  }
  return {
    ok: true,
    ...parts,
    headerText: `${version}:${algo}:${timestamp}`,
    timestampMs: Number(timestamp),
  };
}

function header(headers: Readonly<Record<string, string>>, name: string): string | null {
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined;
  return typeof value === 'string' && value !== '' ? value : null;
}

function refused(reason: RejectedHeaders['reason'], detail: string): RejectedHeaders {
  return { ok: false, reason, detail };
}

/** Splits at the first slash, since Base64 may hold more of them. */
function readSignature(value: string): Pick<CubeHeaders, 'keyId' | 'digest' | 'output'> | null {
  const slash = value.indexOf('/');
  if (slash < 1 || slash > 200) return null;
  const keyId = value.slice(0, slash);
  const text = value.slice(slash + 1);
  if (/^[0-9a-f]{40}$/.test(text)) return { keyId, digest: Buffer.from(text, 'hex'), output: 'hex' };
  const digest = fromCanonicalBase64(text);
  return digest?.length === 20 ? { keyId, digest, output: 'base64' } : null;
}

export type SignedCubeNotification =
  | {
      readonly ok: true;
      /** The four `x-lf-*` headers, lower-case names. */
      readonly headers: Readonly<Record<string, string>>;
      /** What was signed. The secret is the HMAC key, so it is not in here. */
      readonly text: string;
      readonly body: Uint8Array;
    }
  | {
      readonly ok: false;
      readonly reason: 'malformed-body' | 'unknown-variant' | 'not-signable';
      readonly detail: string;
    };

/**
 * Signs a notification as the provider would: for tests, the command line and local demonstrations.
 * Fails for a body that isn't a JSON object, an unknown variant, and with not-signable when the key isn't hex but the
 * variant decodes it.
 * Source: protocols/linksfield.md, section 6.
 */
export function signCubeNotification(
  body: Uint8Array | Readonly<Record<string, JsonInput>>,
  key: { readonly keyId: string; readonly secret: Secret; readonly timestampMs: number },
  variant: string = cubeReadings[0]?.name ?? '',
): SignedCubeNotification {
  const bytes = body instanceof Uint8Array ? body : Buffer.from(jsonText(body));
  const read = readMembers(bytes);
  if (!read.ok) return { ok: false, reason: 'malformed-body', detail: `${read.reason}: ${read.detail}` };
  const reading = cubeReadings.find(({ name }) => name === variant);
  if (reading === undefined) {
    return {
      ok: false,
      reason: 'unknown-variant',
      detail: `no variant is called ${JSON.stringify(variant)}`,
    };
  }
  const text = `${sortedMessage(read.members)}${reading.joiner}1.0:HMAC-SHA1:${key.timestampMs}`;
  const digest = cubeDigest(text, key.secret.reveal(), reading.keyForm);
  if (digest === null) return { ok: false, reason: 'not-signable', detail: 'the key is not hex' };
  const signature = reading.output === 'base64' ? toBase64(digest) : toHex(digest);
  const headers = {
    'x-lf-notification-version': '1.0',
    'x-lf-algo': 'HMAC-SHA1',
    'x-lf-signature': `${key.keyId}/${signature}`,
    'x-lf-timestamp': String(key.timestampMs),
  };
  return { ok: true, headers, text, body: bytes };
}
