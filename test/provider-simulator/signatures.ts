import { createHash, createHmac, createSign, createVerify } from 'node:crypto';

const verbatimText = Symbol('verbatim JSON text');

/** A value whose JSON text is fixed, so that a test can send `1024.0` or `"\u00e9"` exactly so. */
export interface Verbatim {
  readonly [verbatimText]: string;
}

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | Verbatim
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

export type JsonObject = { readonly [key: string]: JsonValue };

/** Marks JSON text to be written, and signed, as it stands. */
export const verbatim = (jsonText: string): Verbatim => ({ [verbatimText]: jsonText });

const isVerbatim = (value: JsonValue): value is Verbatim =>
  typeof value === 'object' && value !== null && verbatimText in value;

const isArray = (value: JsonValue): value is readonly JsonValue[] => Array.isArray(value);

/** Compact JSON with keys in the order given. `/` and non-ASCII stay raw. */
export function printJson(value: JsonValue): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isVerbatim(value)) return value[verbatimText];
  if (isArray(value)) return `[${value.map(printJson).join(',')}]`;
  return `{${Object.entries(value)
    .map(([key, member]) => `${JSON.stringify(key)}:${printJson(member)}`)
    .join(',')}}`;
}

/** Code-unit order, which is ASCII byte order for the names in use: capitals before `_` before lower case. */
const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) =>
  a < b ? -1 : a > b ? 1 : 0;

/** Compact JSON with the keys of every object sorted; the order of list items stays. */
export function sortedJson(value: JsonValue): string {
  if (value === null || typeof value !== 'object' || isVerbatim(value)) return printJson(value);
  if (isArray(value)) return `[${value.map(sortedJson).join(',')}]`;
  return `{${Object.entries(value)
    .sort(byName)
    .map(([key, member]) => `${JSON.stringify(key)}:${sortedJson(member)}`)
    .join(',')}}`;
}

/** The text of a value inside `key=value`: strings bare, booleans as 1 and 0, nested values as compact JSON. */
function pairText(value: JsonValue): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? '1' : '0';
  return printJson(value);
}

const isEmptyForEiotclub = (value: JsonValue): boolean =>
  value === null || value === '' || (isArray(value) && value.length === 0);

/**
 * EIOTCLUB signature: SHA-1 over sorted `k=v&…&secret=…`, upper-case hex. `sign` and empty values take no part;
 * 0 does. Source: protocols/eiotclub.md 1.3. Callbacks leave out `appkey` as well: section 2.
 */
export function eiotclubSign(params: JsonObject, secret: string, use: 'request' | 'callback'): string {
  const pairs = Object.entries(params)
    .filter(([key, value]) => key !== 'sign' && !isEmptyForEiotclub(value))
    .filter(([key]) => use === 'request' || !['appkey', 'appKey', 'app_key'].includes(key))
    .sort(byName)
    .map(([key, value]) => `${key}=${pairText(value)}`);
  return createHash('sha1')
    .update([...pairs, `secret=${secret}`].join('&'), 'utf8')
    .digest('hex')
    .toUpperCase();
}

/**
 * CSSS signature: Base64 of HMAC-SHA1 over sorted compact JSON of the non-empty parameters without `sign`.
 * Source: protocols/linksfield.md 1 (key order and drop of nulls inferred there).
 */
export function csssSign(params: JsonObject, secret: string): string {
  const kept = Object.entries(params).filter(
    ([key, value]) => key !== 'sign' && value !== null && value !== '',
  );
  return createHmac('sha1', secret)
    .update(sortedJson(Object.fromEntries(kept)), 'utf8')
    .digest('base64');
}

/** `of-bytes`: 24 characters; `of-hex`: 44 characters. Which one Linksfield means is unknown. */
export type Md5Encoding = 'of-bytes' | 'of-hex';

/**
 * `x-lf-md5` of a CSSS callback: base64(md5("k=v&k=v&secret")), pairs sorted. A list is taken object by object.
 * Source: protocols/linksfield.md 4. `{"devices":[…]}` lies between the two documented forms: it is taken as a
 * plain object whose one value is the list's JSON text (unknown there).
 */
export function csssCallbackMd5(
  body: JsonObject | readonly JsonObject[],
  secret: string,
  encoding: Md5Encoding,
): string {
  const objects: readonly JsonObject[] = isObjectList(body) ? body : [body];
  const pairs = objects.flatMap((item) =>
    Object.entries(item)
      .sort(byName)
      .map(([key, value]) => `${key}=${pairText(value)}`),
  );
  const digest = createHash('md5')
    .update([...pairs, secret].join('&'), 'utf8')
    .digest();
  return encoding === 'of-bytes'
    ? digest.toString('base64')
    : Buffer.from(digest.toString('hex'), 'ascii').toString('base64');
}

const isObjectList = (body: JsonObject | readonly JsonObject[]): body is readonly JsonObject[] =>
  Array.isArray(body);

const isEmptyForCube = (value: JsonValue): boolean => value === null || value === '';

/** The same object without nulls and empty strings, at every depth. */
function withoutEmpty(value: JsonValue): JsonValue {
  if (value === null || typeof value !== 'object' || isVerbatim(value)) return value;
  if (isArray(value)) return value.map(withoutEmpty);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => !isEmptyForCube(member))
      .map(([key, member]) => [key, withoutEmpty(member)]),
  );
}

export interface CubeSigned {
  /** Path with its parameters and `/cube/v4`, without the query. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly timestamp: string;
  readonly nonce: string;
  readonly body: JsonObject;
}

/**
 * The texts that a Cube v2 signature may cover: sorted compact JSON of timestamp, nonce, x-sign-uri, the query as
 * strings and the top-level body fields. Source: protocols/linksfield.md 5.2. Whether empty values inside nested
 * objects are dropped is not said, so both readings are given.
 */
export function cubeSigningTexts(signed: CubeSigned): readonly string[] {
  const all: JsonObject = {
    ...signed.query,
    ...signed.body,
    timestamp: signed.timestamp,
    nonce: signed.nonce,
    'x-sign-uri': signed.path,
  };
  const top = Object.fromEntries(Object.entries(all).filter(([, value]) => !isEmptyForCube(value)));
  return [...new Set([sortedJson(top), sortedJson(withoutEmpty(top))])];
}

/** SHA1withRSA, PKCS#1 v1.5, Base64. Source: protocols/linksfield.md 5.2 step 4. */
export function cubeSign(text: string, privateKeyPem: string): string {
  return createSign('RSA-SHA1').update(text, 'utf8').sign(privateKeyPem, 'base64');
}

/** True when one of the texts is covered by the signature; false for anything that is no signature at all. */
export function cubeVerify(texts: readonly string[], signature: string, publicKeyPem: string): boolean {
  return texts.some((text) =>
    createVerify('RSA-SHA1').update(text, 'utf8').verify(publicKeyPem, signature, 'base64'),
  );
}

/** The open points of the notification scheme. Source: protocols/linksfield.md 6, rows marked U. */
export interface CubeNotificationVariant {
  readonly joiner: '' | ':' | '\n';
  readonly key: 'hex-decoded' | 'as-text';
  readonly output: 'base64' | 'hex';
}

/**
 * HMAC-SHA1 over the body with its top-level keys sorted (deeper ones as sent) and `{version}:{algo}:{timestamp}`.
 * Source: protocols/linksfield.md 6.
 */
export function cubeNotificationSign(
  body: JsonObject,
  timestamp: string,
  options: { readonly key: string; readonly variant: CubeNotificationVariant },
): string {
  // Joined by hand: an object rebuilt from sorted entries would move integer-like keys to the front.
  const members = Object.entries(body).sort(byName);
  const message = `{${members.map(([name, value]) => `${JSON.stringify(name)}:${printJson(value)}`).join(',')}}`;
  const key =
    options.variant.key === 'hex-decoded'
      ? Buffer.from(options.key, 'hex')
      : Buffer.from(options.key, 'utf8');
  return createHmac('sha1', key)
    .update(`${message}${options.variant.joiner}1.0:HMAC-SHA1:${timestamp}`, 'utf8')
    .digest(options.variant.output);
}
