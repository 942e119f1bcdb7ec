import { type Candidate, findMatch, fromCanonicalBase64, hmacSha1, sameBytes, toBase64 } from './digest.ts';
import { isBlank, type JsonInput, type JsonParams, jsonText, paramEntries } from './json-input.ts';
import { compareUtf16 } from './key-value-text.ts';
import { compactText, type RawMember, readMembers, unescapeString } from './raw-json.ts';
import { type JsonStyle, rewriteJson, sortedStyle } from './rewritten-json.ts';
import type { Secret } from './secret.ts';
import type { VariantOptions, Verification } from './verification.ts';

/** The points of the CSSS rule that the pages leave open. */
export interface CsssRequestOptions {
  readonly keyOrder: 'sorted' | 'as-given';
  readonly dropEmpty: boolean;
  readonly quoteNumbers: boolean;
  readonly nestedKeys: 'as-given' | 'sorted';
}

interface Named extends CsssRequestOptions {
  readonly name: string;
}

const readings: readonly Named[] = (['sorted', 'as-given'] as const).flatMap((keyOrder) =>
  [true, false].flatMap((dropEmpty) =>
    [false, true].flatMap((quoteNumbers) =>
      (['as-given', 'sorted'] as const).map((nestedKeys) => ({
        name: [
          keyOrder,
          dropEmpty ? 'empty-dropped' : 'empty-kept',
          quoteNumbers ? 'numbers-quoted' : 'numbers-plain',
          `nested-${nestedKeys}`,
        ].join('/'),
        keyOrder,
        dropEmpty,
        quoteNumbers,
        nestedKeys,
      })),
    ),
  ),
);

/**
 * Names of all readings of the request rule, the likeliest first:
 * `{key order}/{empty values}/{numbers}/{keys of nested objects}`.
 * Source: protocols/linksfield.md, section 1, table and "Advice".
 */
export const csssRequestVariants: readonly string[] = readings.map(({ name }) => name);

/** The options that a variant name stands for; null for an unknown name. */
export function csssRequestOptions(variant: string): CsssRequestOptions | null {
  return readings.find(({ name }) => name === variant) ?? null;
}

/** What the evidence points to: sorted keys, empty values left out, numbers as numbers. */
export const csssRequestDefaults: CsssRequestOptions = {
  keyOrder: 'sorted',
  dropEmpty: true,
  quoteNumbers: false,
  nestedKeys: 'as-given',
};

export interface SignedCsssRequest {
  /** Goes into the body's `sign`: Base64 of 20 bytes. */
  readonly sign: string;
  /** What was signed. The secret is the HMAC key, so it is not in here. */
  readonly text: string;
}

/**
 * Signs the parameters of a CSSS call: Base64 of HMAC-SHA1 over compact JSON of the non-empty parameters without
 * `sign`, keys in UTF-16 order. Give pairs instead of an object where the order or integer-like keys must survive.
 * `params` must be plain data; a cycle is a programming error and throws a RangeError.
 * Source: protocols/linksfield.md, section 1.
 */
export function signCsssRequest(
  params: JsonParams,
  secret: Secret,
  options: Partial<CsssRequestOptions> = {},
): SignedCsssRequest {
  const rule = { ...csssRequestDefaults, ...options };
  const parts: Part[] = [];
  for (const [key, value] of paramEntries(params)) {
    if (key === 'sign' || value === undefined || (rule.dropEmpty && isBlank(value))) continue;
    parts.push({ key, keyText: JSON.stringify(key), valueText: paramText(value, rule) });
  }
  const text = objectText(parts, rule.keyOrder);
  return { sign: toBase64(hmacSha1(secret.reveal(), text)), text };
}

interface Part {
  readonly key: string;
  readonly keyText: string;
  readonly valueText: string;
}

function paramText(value: JsonInput, rule: CsssRequestOptions): string {
  const text = jsonText(value, rule.nestedKeys);
  return rule.quoteNumbers && typeof value === 'number' ? JSON.stringify(text) : text;
}

function objectText(parts: readonly Part[], keyOrder: 'sorted' | 'as-given'): string {
  const ordered = keyOrder === 'sorted' ? parts.toSorted((a, b) => compareUtf16(a.key, b.key)) : parts;
  return `{${ordered.map(({ keyText, valueText }) => `${keyText}:${valueText}`).join(',')}}`;
}

/**
 * Checks a signed CSSS request the way a server would. For servers and tests.
 *
 * Every reading in {@link csssRequestVariants} is tried with the strings as written and with their escapes resolved
 * (`\u4e2d`, `\/`), under one name. `timestamp` is read as seconds (10 digits) or milliseconds (13); else null.
 * Fails with no-secret, malformed-body, missing-signature, malformed-signature or wrong-signature; never throws.
 * Source: protocols/linksfield.md, sections 1 and 2.
 */
export function verifyCsssRequest(
  body: Uint8Array,
  keys: readonly Secret[],
  options: VariantOptions,
): Verification {
  if (keys.length === 0) return { ok: false, reason: 'no-secret', detail: 'no key was given' };
  const read = readMembers(body);
  if (!read.ok) return { ok: false, reason: 'malformed-body', detail: `${read.reason}: ${read.detail}` };
  const sign = stringMember(read.members, 'sign');
  if (sign === null || sign === '') {
    return { ok: false, reason: 'missing-signature', detail: 'the body has no sign' };
  }
  const digest = fromCanonicalBase64(sign);
  if (digest?.length !== 20) {
    return {
      ok: false,
      reason: 'malformed-signature',
      detail: 'sign must be Base64 of 20 bytes: 28 characters',
    };
  }
  const match = findMatch(candidatesOf(read.members, options.variants), keys, ({ text }, secret) =>
    sameBytes(hmacSha1(secret.reveal(), text), digest),
  );
  if (match === null) {
    return { ok: false, reason: 'wrong-signature', detail: 'no accepted variant matches with any live key' };
  }
  const { candidate, keyIndex } = match;
  return { ok: true, variant: candidate.variant, keyIndex, signedAtMs: readTimestamp(read.members) };
}

function stringMember(members: readonly RawMember[], name: string): string | null {
  const member = members.find(({ key }) => key === name);
  return member === undefined ? null : unescapeString(member.valueText);
}

function readTimestamp(members: readonly RawMember[]): number | null {
  const member = members.find(({ key }) => key === 'timestamp');
  const text = member === undefined ? null : (unescapeString(member.valueText) ?? member.valueText);
  if (text === null || !/^(?:\d{10}|\d{13})$/.test(text)) return null;
  return text.length === 10 ? Number(text) * 1000 : Number(text);
}

function* candidatesOf(
  members: readonly RawMember[],
  variants: readonly string[] | null,
): Generator<Candidate> {
  for (const reading of readings) {
    if (variants !== null && !variants.includes(reading.name)) continue;
    for (const strings of ['kept', 'plain'] as const) {
      const text = receivedText(members, reading, strings);
      if (text !== null) yield { variant: reading.name, text };
    }
  }
}

function receivedText(
  members: readonly RawMember[],
  reading: Named,
  strings: JsonStyle['strings'],
): string | null {
  const parts: Part[] = [];
  for (const { key, keyText, valueText, kind } of members) {
    if (key === 'sign' || (reading.dropEmpty && (kind === 'null' || valueText === '""'))) continue;
    const style = {
      ...sortedStyle,
      strings,
      keyOrder: reading.nestedKeys === 'sorted' ? 'sorted' : 'kept',
    } as const;
    const keyAgain = rewriteJson(keyText, style);
    const value =
      strings === 'kept' && style.keyOrder === 'kept'
        ? compactText(valueText)
        : rewriteJson(valueText, style);
    if (keyAgain === null || value === null) return null;
    const quoted = reading.quoteNumbers && kind === 'number' ? JSON.stringify(value) : value;
    parts.push({ key, keyText: keyAgain, valueText: quoted });
  }
  const text = objectText(parts, reading.keyOrder);
  return text.isWellFormed() ? text : null;
}
