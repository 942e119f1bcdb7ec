import { type Candidate, findMatch, fromCanonicalBase64, md5, sameBytes, toBase64, toHex } from './digest.ts';
import { type JsonInput, jsonText } from './json-input.ts';
import { ambiguousMember, compareUtf16, joinPairs, type Pair } from './key-value-text.ts';
import {
  compactText,
  type JsonBody,
  plainString,
  type RawMember,
  type RawRoot,
  readRoot,
  readRootText,
} from './raw-json.ts';
import type { Secret } from './secret.ts';
import type { VariantOptions, Verification } from './verification.ts';

const shapes = ['object', 'list'] as const;
const stringForms = ['strings-unescaped', 'strings-raw'] as const;
const emptyForms = ['empty-dropped', 'empty-kept'] as const;
const outputs = ['digest-bytes', 'hex-text'] as const;

interface Reading {
  readonly name: string;
  readonly shape: (typeof shapes)[number];
  readonly strings: (typeof stringForms)[number];
  readonly empty: (typeof emptyForms)[number];
  readonly output: (typeof outputs)[number];
}

const readings: readonly Reading[] = shapes.flatMap((shape) =>
  stringForms.flatMap((strings) =>
    emptyForms.flatMap((empty) =>
      outputs.map((output) => ({
        name: [shape, strings, empty, output].join('/'),
        shape,
        strings,
        empty,
        output,
      })),
    ),
  ),
);

/**
 * Names of all readings of the callback rule, the likeliest first: `{shape}/{strings}/{empty values}/{output}`.
 *
 * - `object` signs the root members, nested values as compact JSON; `list` signs the members of each object of the
 *   root array, or of `{"devices":[...]}`, which the pages place between the two forms.
 * - `strings-unescaped` signs what a string stands for, `strings-raw` what stands between its quotes.
 * - `empty-dropped` leaves null and "" out, `empty-kept` signs them as `key=null` and `key=`.
 * - `digest-bytes` is Base64 of the 16 bytes, `hex-text` Base64 of the 32 lower-case hex digits.
 *
 * Source: protocols/linksfield.md, section 4.
 */
export const csssCallbackVariants: readonly string[] = readings.map(({ name }) => name);

/** Written by people, so it may hold anything; it is the last of its message's members in dictionary order. */
const freeText = 'text_message';

/**
 * Checks the `x-lf-md5` header: Base64 of MD5 over the sorted `key=value` pairs, `&` and the secret.
 *
 * A good signature proves that someone with the secret signed these names and texts. It does not prove the types of
 * values, members that are left out, the root's shape (an object and a list of one object share a text), or that the
 * message is new: there is no time in it, so a captured one verifies for ever and only dedup memory protects.
 * Bodies that could be several members joined into one are refused as malformed, see {@link ambiguousMember}; the text
 * of an SMS is not, so names that sort after `text_message` prove nothing. MD5 with the secret as a suffix: whoever can make
 * the provider sign chosen content could use a collision.
 *
 * Changes that leave the signature good, because what is signed stays the same: whitespace between tokens, order of
 * members of one object, members that are left out and, in `strings-unescaped`, escapes.
 *
 * Fails with no-secret, missing-signature, malformed-signature, malformed-body or wrong-signature; never throws.
 * Source: protocols/linksfield.md, section 4.
 */
export function verifyCsssCallback(
  body: JsonBody,
  signatureHeader: string | undefined,
  keys: readonly Secret[],
  options: VariantOptions,
): Verification {
  if (keys.length === 0) return { ok: false, reason: 'no-secret', detail: 'no key was given' };
  if (signatureHeader === undefined || signatureHeader === '') {
    return { ok: false, reason: 'missing-signature', detail: 'the header x-lf-md5 is not there' };
  }
  const given = readCsssSignature(signatureHeader);
  if (given === null) {
    const detail = `x-lf-md5 has ${signatureHeader.length} characters, but must be Base64 of 16 bytes or of 32 hex digits`;
    return { ok: false, reason: 'malformed-signature', detail };
  }
  const root = readRoot(body);
  if (!root.ok) return { ok: false, reason: 'malformed-body', detail: `${root.reason}: ${root.detail}` };
  const candidates = candidatesOf(root, differing(root, given.output, options.variants));
  const match = findMatch(candidates, keys, ({ text }, secret) =>
    sameBytes(md5(withSecret(text, secret)), given.digest),
  );
  if (match === null) {
    return { ok: false, reason: 'wrong-signature', detail: 'no accepted variant matches with any live key' };
  }
  const { candidate, keyIndex } = match;
  const twofold = ambiguousIn(candidate.groups);
  if (twofold !== null) {
    const detail = `the member ${JSON.stringify(twofold.slice(0, 100))} can be read in two ways under one signature`;
    return { ok: false, reason: 'malformed-body', detail };
  }
  return { ok: true, variant: candidate.variant, keyIndex, signedAtMs: null };
}

export interface CsssSignature {
  readonly digest: Uint8Array;
  readonly output: Reading['output'];
}

/** The 16 bytes of a header and the form they came in; null for anything but canonical Base64 of the two lengths. */
export function readCsssSignature(header: string): CsssSignature | null {
  const bytes = fromCanonicalBase64(header);
  if (bytes?.length === 16) return { digest: bytes, output: 'digest-bytes' };
  if (bytes?.length !== 32) return null;
  const hex = Buffer.from(bytes).toString('latin1');
  return /^[0-9a-f]{32}$/.test(hex) ? { digest: Buffer.from(hex, 'hex'), output: 'hex-text' } : null;
}

type Groups = readonly (readonly Pair[])[];

/** A text with the pairs that it joins, one group for each object that is signed. */
interface GroupedCandidate extends Candidate {
  readonly groups: Groups;
}

/** The text of each reading that applies to the body and the header's form. Computed on demand. */
export function csssCandidates(root: RawRoot, output: Reading['output']): Generator<GroupedCandidate> {
  return candidatesOf(
    root,
    readings.filter((reading) => reading.output === output),
  );
}

function* candidatesOf(root: RawRoot, accepted: Iterable<Reading>): Generator<GroupedCandidate> {
  for (const reading of accepted) {
    const groups = groupsOf(root, reading);
    if (groups === null) continue;
    const text = textOf(groups);
    if (text.isWellFormed()) yield { variant: reading.name, text, groups };
  }
}

/**
 * The accepted readings of one form of the header that may differ on this body; of those that can't, the first. Most
 * bodies hold no escape and nothing empty, so a wrong signature is tried against one text of each shape.
 */
function* differing(
  root: RawRoot,
  output: Reading['output'],
  variants: readonly string[] | null,
): Generator<Reading> {
  const tried: Reading[] = [];
  for (const reading of readings) {
    if (reading.output !== output || (variants !== null && !variants.includes(reading.name))) continue;
    if (tried.some((earlier) => !tellsApart(root, earlier, reading))) continue;
    tried.push(reading);
    yield reading;
  }
}

/** False when both readings make the same text of the body. What stands deeper in it is taken for its own, to be safe. */
function tellsApart(root: RawRoot, a: Reading, b: Reading): boolean {
  if (a.shape !== b.shape) return true;
  const escapes = a.strings !== b.strings;
  const empties = a.empty !== b.empty;
  return textsOf(root).some(
    (text) => (escapes && text.includes('\\')) || (empties && (text.includes('null') || text.includes('""'))),
  );
}

function textsOf(root: RawRoot): readonly string[] {
  if (!root.ok) return [];
  if (root.kind === 'array') return root.items.map(({ valueText }) => valueText);
  return root.members.flatMap(({ keyText, valueText }) => [keyText, valueText]);
}

/** The sorted pairs that a variant signs; null for an unknown variant and for a body of another shape. */
export function csssPairs(root: RawRoot, variant: string): readonly Pair[] | null {
  const reading = readings.find(({ name }) => name === variant);
  return reading === undefined ? null : (groupsOf(root, reading)?.flat() ?? null);
}

/** Sorted pairs, one group for each object that is signed; null when the body hasn't the reading's shape. */
function groupsOf(root: RawRoot, reading: Reading): Groups | null {
  const objects = reading.shape === 'object' ? objectRoot(root) : listedObjects(root);
  return objects === null ? null : objects.map((members) => pairsOf(members, reading));
}

function textOf(groups: Groups): string {
  return joinPairs(groups.flat());
}

function objectRoot(root: RawRoot): readonly (readonly RawMember[])[] | null {
  return root.ok && root.kind === 'object' ? [root.members] : null;
}

function listedObjects(root: RawRoot): readonly (readonly RawMember[])[] | null {
  const list = listRoot(root);
  if (list === null) return null;
  const objects: (readonly RawMember[])[] = [];
  for (const { valueText } of list.items) {
    const item = readRootText(valueText);
    if (!item.ok || item.kind !== 'object') return null;
    objects.push(item.members);
  }
  return objects;
}

/** The root array, or the array of `{"devices":[...]}`: the name is not signed, so only the documented one will do. */
function listRoot(root: RawRoot): Extract<RawRoot, { kind: 'array' }> | null {
  if (!root.ok) return null;
  if (root.kind === 'array') return root;
  const [only, second] = root.members;
  if (only === undefined || second !== undefined || only.key !== 'devices') return null;
  const list = readRootText(only.valueText);
  return list.ok && list.kind === 'array' ? list : null;
}

function pairsOf(members: readonly RawMember[], reading: Reading): readonly Pair[] {
  const pairs: Pair[] = [];
  for (const { key, keyText, kind, valueText } of members) {
    if (reading.empty === 'empty-dropped' && (kind === 'null' || valueText === '""')) continue;
    const raw = reading.strings === 'strings-raw';
    const name = raw ? keyText.slice(1, -1) : key;
    pairs.push([name, kind === 'string' ? stringText(valueText, raw) : compactText(valueText)]);
  }
  return pairs.sort(([a], [b]) => compareUtf16(a, b));
}

function stringText(valueText: string, raw: boolean): string {
  return raw ? valueText.slice(1, -1) : plainString(valueText);
}

/** Also true between objects: `[{"a":1},{"b":2}]` and `[{"a":1,"b":2}]` share a text, and only the latter is plain. */
function ambiguousIn(groups: Groups): string | null {
  for (const [index, group] of groups.entries()) {
    const member = ambiguousMember(group, compareUtf16, freeText);
    if (member !== null) return member;
    const last = group.at(-1)?.[0];
    const first = groups[index + 1]?.[0]?.[0];
    if (last !== undefined && first !== undefined && compareUtf16(last, first) < 0) return first;
  }
  return null;
}

function withSecret(text: string, secret: Secret): string {
  return `${text}&${secret.reveal()}`;
}

export type SignedCsssCallback =
  | {
      readonly ok: true;
      /** Value of the header `x-lf-md5`. */
      readonly signature: string;
      /** What was hashed, with the secret masked. */
      readonly text: string;
      readonly body: Uint8Array;
    }
  | {
      readonly ok: false;
      readonly reason: 'malformed-body' | 'unknown-variant' | 'not-signable';
      readonly detail: string;
    };

/**
 * Signs a callback as the provider would: for tests, the command line and local demonstrations.
 * Fails for a body that isn't JSON, an unknown variant, and with not-signable when the body hasn't the variant's shape.
 * Source: protocols/linksfield.md, section 4.
 */
export function signCsssCallback(
  body: Uint8Array | JsonInput,
  secret: Secret,
  variant: string = readings[0]?.name ?? '',
): SignedCsssCallback {
  const bytes = body instanceof Uint8Array ? body : Buffer.from(jsonText(body));
  const root = readRoot(bytes);
  if (!root.ok) return { ok: false, reason: 'malformed-body', detail: `${root.reason}: ${root.detail}` };
  const reading = readings.find(({ name }) => name === variant);
  if (reading === undefined) {
    return {
      ok: false,
      reason: 'unknown-variant',
      detail: `no variant is called ${JSON.stringify(variant)}`,
    };
  }
  const groups = groupsOf(root, reading);
  const text = groups === null ? null : textOf(groups);
  if (text === null || !text.isWellFormed()) {
    return { ok: false, reason: 'not-signable', detail: `the body hasn't the shape that ${variant} signs` };
  }
  const digest = md5(withSecret(text, secret));
  const signature = toBase64(reading.output === 'digest-bytes' ? digest : Buffer.from(toHex(digest)));
  return { ok: true, signature, text: `${text}&<secret>`, body: bytes };
}
