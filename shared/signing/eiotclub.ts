import { type Candidate, findMatch, sameBytes, sha1, toHex } from './digest.ts';
import { isBlank, type JsonInput, jsonText } from './json-input.ts';
import { ambiguousMember, compareBytes, joinPairs, type Pair } from './key-value-text.ts';
import { compactText, type JsonBody, plainString, type RawMember, readMembers } from './raw-json.ts';
import { exactNumber, jsStyle, phpStyle, rewriteJson } from './rewritten-json.ts';
import type { Secret } from './secret.ts';
import { signInsertedBody } from './signed-body.ts';
import type { RejectionReason, VariantOptions, Verification } from './verification.ts';

/** How one implementation may turn the members of a body into text. */
interface Reading {
  readonly name: string;
  /** Numbers and nested values: verbatim, without whitespace, or decoded and encoded again. */
  readonly values: (typeof valueForms)[number];
  readonly booleans: (typeof booleanForms)[number];
  readonly emptyObject: (typeof emptyObjectForms)[number];
}

const valueForms = ['raw-text', 'compact-text', 'php-json', 'js-json'] as const;
const booleanForms = ['bool-digit', 'bool-literal'] as const;
const emptyObjectForms = ['empty-object-dropped', 'empty-object-kept'] as const;

const readings: readonly Reading[] = valueForms.flatMap((values) =>
  booleanForms.flatMap((booleans) =>
    emptyObjectForms.map((emptyObject) => ({
      name: `${values}/${booleans}/${emptyObject}`,
      values,
      booleans,
      emptyObject,
    })),
  ),
);

/**
 * Names of all readings of the callback rule, the likeliest first: `{values}/{booleans}/{empty object}`.
 *
 * - `raw-text` takes numbers and nested values verbatim, `compact-text` without whitespace between tokens,
 *   `php-json` and `js-json` as that language prints them after decoding (1024.0 -> 1024).
 * - `bool-digit` writes root booleans as 1 and 0, `bool-literal` as true and false.
 * - `empty-object-dropped` leaves a root `{}` out, `empty-object-kept` signs it.
 *
 * Source: protocols/eiotclub.md, section 2, "Places where implementations can disagree".
 */
export const eiotclubCallbackVariants: readonly string[] = readings.map(({ name }) => name);

export interface SignedEiotclubRequest {
  /** Goes into the body's `sign`: 40 upper-case hex digits. */
  readonly sign: string;
  /** What was hashed, with the secret masked. */
  readonly text: string;
}

/**
 * Signs the parameters of an API request: SHA-1 over sorted `key=value&...&secret=...`, upper-case hex.
 *
 * `sign` itself, null, empty strings, empty lists and empty objects stay out; booleans become 1 and 0; nested values
 * become compact JSON. `params` must be plain data; a cycle is a programming error and throws a RangeError.
 * Source: protocols/eiotclub.md, section 1.3.
 */
export function signEiotclubRequest(
  params: Readonly<Record<string, JsonInput>>,
  secret: Secret,
): SignedEiotclubRequest {
  const pairs: Pair[] = [];
  for (const [key, value] of Object.entries(params)) {
    const text = key === 'sign' ? null : requestValue(value);
    if (text !== null) pairs.push([key, text]);
  }
  const text = joinPairs(pairs.toSorted(([a], [b]) => compareBytes(a, b)));
  return { sign: digestHex(text, secret), text: `${text}&secret=<secret>` };
}

function requestValue(value: JsonInput): string | null {
  if (isBlank(value)) return null;
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? '1' : '0';
  const text = jsonText(value);
  return text === '[]' || text === '{}' ? null : text;
}

/**
 * Checks a signed API request the way a server would, `appkey` included. For servers and tests.
 * Failures as in {@link verifyEiotclubCallback}.
 * Source: protocols/eiotclub.md, section 1.3.
 */
export function verifyEiotclubRequest(
  body: JsonBody,
  keys: readonly Secret[],
  options: VariantOptions,
): Verification {
  return verifyBody(body, keys, options, requestUnsigned);
}

/**
 * Checks a callback: `sign` in the body against SHA-1 over the other members, without `appkey`.
 *
 * A good signature proves that someone with the secret signed these names and these value texts. It does not prove:
 * - the type of a value: the string "1", the number 1 and, in some variants, true share a text, and so do a nested
 *   value and a string that spells it, and in `php-json` what PHP can't tell apart, such as [] and {};
 * - members that the rule leaves out: null, "", [], root {} in some variants, appkey, appKey, app_key;
 * - that the message is new: a captured one verifies for ever, so judge its age and keep dedup memory.
 * The joined text can't tell `{"a":"1&b=2"}` from `{"a":"1","b":"2"}`. Bodies that could be such a merger are refused
 * as malformed; see {@link ambiguousMember}. The secret is a suffix of a plain SHA-1, so the scheme rests on SHA-1's
 * collision resistance: whoever could make the provider sign chosen content could use a collision.
 *
 * Changes that leave the signature good, because what is signed stays the same: the case of the hex in `sign`,
 * whitespace outside values, the spelling of root strings and keys (escapes), the order of root members, and anything
 * in members that are left out; within the `compact-text` and re-serialised variants also whitespace, escapes and number
 * spellings of equal value inside values.
 *
 * Fails with no-secret, malformed-body, missing-signature, malformed-signature, wrong-signature or
 * malformed-timestamp; never throws. `signedAtMs` is null when the body has no `timestamp`.
 * Source: protocols/eiotclub.md, section 2.
 */
export function verifyEiotclubCallback(
  body: JsonBody,
  keys: readonly Secret[],
  options: VariantOptions,
): Verification {
  return verifyBody(body, keys, options, eiotclubUnsigned);
}

/** Members that never enter the text. Source: protocols/eiotclub.md, section 2, row "difference to requests". */
export const eiotclubUnsigned: ReadonlySet<string> = new Set(['sign', 'appkey', 'appKey', 'app_key']);
const requestUnsigned: ReadonlySet<string> = new Set(['sign']);

function verifyBody(
  body: JsonBody,
  keys: readonly Secret[],
  options: VariantOptions,
  unsigned: ReadonlySet<string>,
): Verification {
  if (keys.length === 0) return rejected('no-secret', 'no key was given: set the callback secret');
  const read = readMembers(body);
  if (!read.ok) return rejected('malformed-body', `${read.reason}: ${read.detail}`);
  const given = readSign(read.members);
  if (!given.ok) return given;
  const sorted = signedMembers(read.members, unsigned);
  const candidates = candidatesOf(sorted, differing(sorted, options.variants));
  const match = findMatch(candidates, keys, ({ text }, secret) =>
    sameBytes(sha1(withSecret(text, secret)), given.digest),
  );
  if (match === null) {
    return rejected('wrong-signature', `no accepted variant matches with any of ${keys.length} live key(s)`);
  }
  const { variant, pairs } = match.candidate;
  const twofold = ambiguousMember(pairs, compareBytes, null);
  if (twofold !== null) return rejected('malformed-body', ambiguity(twofold));
  const time = readTimestamp(read.members);
  if (time === 'malformed') {
    return rejected('malformed-timestamp', 'timestamp must be Unix seconds, 1 to 12 digits: see the body');
  }
  return { ok: true, variant, keyIndex: match.keyIndex, signedAtMs: time };
}

function ambiguity(key: string): string {
  const name = JSON.stringify(key.slice(0, 100));
  return `the member ${name} could be several members joined into one, which the signature can't tell apart`;
}

type GivenSign = { readonly ok: true; readonly digest: Uint8Array } | (Verification & { readonly ok: false });

/** The received digest; hex in either case. Source: protocols/eiotclub.md, section 2, row "comparison". */
function readSign(members: readonly RawMember[]): GivenSign {
  const member = members.find(({ key }) => key === 'sign');
  if (member === undefined || member.kind === 'null' || member.valueText === '""') {
    return rejected('missing-signature', 'the body has no sign');
  }
  const sign = member.kind === 'string' ? plainString(member.valueText) : null;
  if (sign === null || !/^[0-9A-Fa-f]{40}$/.test(sign)) {
    return rejected(
      'malformed-signature',
      `sign is a ${member.kind} of ${sign?.length ?? member.valueText.length} characters, but must be 40 hex digits`,
    );
  }
  return { ok: true, digest: Buffer.from(sign, 'hex') };
}

function rejected(reason: RejectionReason, detail: string): Verification & { readonly ok: false } {
  return { ok: false, reason, detail };
}

/** Unix seconds as epoch milliseconds; null when there is no timestamp. */
function readTimestamp(members: readonly RawMember[]): number | null | 'malformed' {
  const member = members.find(({ key }) => key === 'timestamp');
  if (member === undefined || member.kind === 'null' || member.valueText === '""') return null;
  const text = member.kind === 'string' ? plainString(member.valueText) : member.valueText;
  return /^(?:0|[1-9]\d{0,11})$/.test(text) ? Number(text) * 1000 : 'malformed';
}

/** A text with the pairs that it joins. */
interface PairedCandidate extends Candidate {
  readonly pairs: readonly Pair[];
}

/** The text of each reading that applies to these members, in order of likelihood. Computed on demand. */
export function eiotclubCandidates(
  members: readonly RawMember[],
  unsigned: ReadonlySet<string>,
): Generator<PairedCandidate> {
  return candidatesOf(signedMembers(members, unsigned), readings);
}

function* candidatesOf(
  sorted: readonly RawMember[],
  accepted: Iterable<Reading>,
): Generator<PairedCandidate> {
  const spelled: Spelled = new Map();
  for (const reading of accepted) {
    const pairs = pairsOf(sorted, reading, spelled);
    if (pairs === null) continue;
    const text = joinPairs(pairs);
    if (text.isWellFormed()) yield { variant: reading.name, text, pairs };
  }
}

/**
 * The accepted readings that may differ on these members; of those that can't, the first. Most bodies hold no boolean
 * and no empty object, so a wrong signature is tried against four texts instead of sixteen.
 */
function* differing(members: readonly RawMember[], variants: readonly string[] | null): Generator<Reading> {
  const tried: Reading[] = [];
  for (const reading of readings) {
    if (variants !== null && !variants.includes(reading.name)) continue;
    if (tried.some((earlier) => !members.some((member) => tellsApart(member, earlier, reading)))) continue;
    tried.push(reading);
    yield reading;
  }
}

/** False when both readings spell the member alike. */
function tellsApart({ kind, valueText }: RawMember, a: Reading, b: Reading): boolean {
  switch (kind) {
    case 'string':
    case 'null':
      return false;
    case 'true':
    case 'false':
      return a.booleans !== b.booleans;
    case 'object':
      if (isEmptyContainer(valueText)) return a.emptyObject !== b.emptyObject;
      return a.values !== b.values;
    case 'array':
    case 'number':
      return a.values !== b.values;
    default: {
      const never: never = kind;
      throw new Error(`unknown kind of value: ${String(never)}`);
    }
  }
}

/** Sorted pairs under one variant; null for an unknown variant or one that these members can't be read by. */
export function eiotclubPairs(
  members: readonly RawMember[],
  unsigned: ReadonlySet<string>,
  variant: string,
): readonly Pair[] | null {
  const reading = readings.find(({ name }) => name === variant);
  return reading === undefined ? null : pairsOf(signedMembers(members, unsigned), reading, new Map());
}

function signedMembers(members: readonly RawMember[], unsigned: ReadonlySet<string>): readonly RawMember[] {
  return members.filter(({ key }) => !unsigned.has(key)).sort((a, b) => compareBytes(a.key, b.key));
}

/** Nested values already spelled, by form and text: readings that differ only in booleans share them. */
type Spelled = Map<string, string | undefined>;

function pairsOf(sorted: readonly RawMember[], reading: Reading, spelled: Spelled): readonly Pair[] | null {
  const pairs: Pair[] = [];
  for (const member of sorted) {
    const value = textOfMember(member, reading, spelled);
    if (value === undefined) return null;
    if (value !== null && value !== '') pairs.push([member.key, value]);
  }
  return pairs;
}

/** The member's text; null when the rule drops it; undefined when this reading can't spell it. */
function textOfMember(member: RawMember, reading: Reading, spelled: Spelled): string | null | undefined {
  const { kind, valueText } = member;
  switch (kind) {
    case 'string':
      return plainString(valueText);
    case 'number':
      return numberText(valueText, reading.values);
    case 'true':
    case 'false':
      if (reading.booleans === 'bool-literal') return kind;
      return kind === 'true' ? '1' : '0';
    case 'null':
      return null;
    case 'array':
      return isEmptyContainer(valueText) ? null : nestedOnce(valueText, reading.values, spelled);
    case 'object':
      if (!isEmptyContainer(valueText)) return nestedOnce(valueText, reading.values, spelled);
      return reading.emptyObject === 'empty-object-dropped' ? null : '{}';
    default: {
      const never: never = kind;
      throw new Error(`unknown kind of value: ${String(never)}`);
    }
  }
}

function isEmptyContainer(valueText: string): boolean {
  return /^.[ \t\n\r]*.$/.test(valueText);
}

function numberText(valueText: string, form: Reading['values']): string | undefined {
  if (form === 'raw-text' || form === 'compact-text') return valueText;
  return exactNumber(valueText, form === 'php-json' ? 'php' : 'js') ?? undefined;
}

function nestedOnce(valueText: string, form: Reading['values'], spelled: Spelled): string | undefined {
  if (form === 'raw-text') return valueText;
  const name = `${form} ${valueText}`;
  const known = spelled.get(name);
  if (known !== undefined || spelled.has(name)) return known;
  const text = nestedText(valueText, form);
  spelled.set(name, text);
  return text;
}

function nestedText(valueText: string, form: Reading['values']): string | undefined {
  switch (form) {
    case 'raw-text':
      return valueText;
    case 'compact-text':
      return compactText(valueText);
    case 'php-json':
      return rewriteJson(valueText, phpStyle) ?? undefined;
    case 'js-json':
      return rewriteJson(valueText, jsStyle) ?? undefined;
    default: {
      const never: never = form;
      throw new Error(`unknown form of values: ${String(never)}`);
    }
  }
}

function withSecret(text: string, secret: Secret): string {
  return `${text}&secret=${secret.reveal()}`;
}

function digestHex(text: string, secret: Secret): string {
  return toHex(sha1(withSecret(text, secret))).toUpperCase();
}

export type SignedCallback =
  | {
      readonly ok: true;
      readonly sign: string;
      /** What was hashed, with the secret masked. */
      readonly text: string;
      /** The body to send, with `sign` as its last member. */
      readonly body: Uint8Array;
    }
  | {
      readonly ok: false;
      readonly reason: 'malformed-body' | 'unknown-variant' | 'not-signable';
      readonly detail: string;
    };

/**
 * Signs a callback as the provider would: for tests, the command line and local demonstrations.
 *
 * Takes the body as bytes (kept as they are, but for `sign`) or as parameters. Fails for a body that isn't a JSON
 * object, for a variant that is not in {@link eiotclubCallbackVariants}, and with not-signable when the variant can't
 * spell a value (a number it would round, a lone surrogate).
 * Source: protocols/eiotclub.md, section 2.
 */
export function signEiotclubCallback(
  body: Uint8Array | Readonly<Record<string, JsonInput>>,
  secret: Secret,
  variant: string = readings[0]?.name ?? '',
): SignedCallback {
  const bytes = body instanceof Uint8Array ? body : Buffer.from(jsonText(body));
  const read = readMembers(bytes);
  if (!read.ok) return { ok: false, reason: 'malformed-body', detail: `${read.reason}: ${read.detail}` };
  if (!eiotclubCallbackVariants.includes(variant)) {
    return {
      ok: false,
      reason: 'unknown-variant',
      detail: `no variant is called ${JSON.stringify(variant)}`,
    };
  }
  const pairs = eiotclubPairs(read.members, eiotclubUnsigned, variant);
  const text = pairs === null ? null : joinPairs(pairs);
  if (text === null || !text.isWellFormed()) {
    return {
      ok: false,
      reason: 'not-signable',
      detail: `${variant} can't spell a value of this body exactly`,
    };
  }
  const sign = digestHex(text, secret);
  const signed = signInsertedBody(bytes, read.members, sign);
  return { ok: true, sign, text: `${text}&secret=<secret>`, body: signed };
}
