import { skipNumber, skipSpace, skipString, unescapeString } from './raw-json.ts';

/** How a sender that decodes and encodes again would spell a value. */
export interface JsonStyle {
  /** `kept` as received; `exact` as PHP and JavaScript both print the number, where that loses nothing. */
  readonly numbers: 'kept' | 'exact';
  /** `kept` with their escapes; `plain` with only the escapes that JSON asks for. */
  readonly strings: 'kept' | 'plain';
  readonly keyOrder: 'kept' | 'sorted' | 'integers-first';
  /** PHP arrays: an empty object becomes `[]`, and keys 0, 1, 2, ... become a list. */
  readonly phpArrays: boolean;
  /** PHP escapes U+2028 and U+2029. */
  readonly escapeLineSeparators: boolean;
}

/**
 * What `json_encode(json_decode(text, true), JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES)` prints.
 * Source: protocols/eiotclub.md, section 2, table of disagreements, column SDK.
 */
export const phpStyle: JsonStyle = {
  numbers: 'exact',
  strings: 'plain',
  keyOrder: 'kept',
  phpArrays: true,
  escapeLineSeparators: true,
};

/** What `JSON.stringify(JSON.parse(text))` prints. Source: protocols/eiotclub.md, section 2, same table, column JS. */
export const jsStyle: JsonStyle = {
  numbers: 'exact',
  strings: 'plain',
  keyOrder: 'integers-first',
  phpArrays: false,
  escapeLineSeparators: false,
};

/** Drops insignificant whitespace and sorts the keys of every object by UTF-16 code units; spellings stay. */
export const sortedStyle: JsonStyle = {
  numbers: 'kept',
  strings: 'kept',
  keyOrder: 'sorted',
  phpArrays: false,
  escapeLineSeparators: false,
};

/**
 * Spells a JSON value again in a style; null where that would lose something, so that two different bodies can't
 * come to share a text: a number that a double can't hold, a duplicate key, a lone surrogate.
 * The text must have passed `readMembers` or `readRootText`, which also bounds its depth.
 */
export function rewriteJson(text: string, style: JsonStyle): string | null {
  const cursor: Cursor = { text, at: skipSpace(text, 0), style };
  return rewriteValue(cursor);
}

interface Cursor {
  readonly text: string;
  at: number;
  readonly style: JsonStyle;
}

function rewriteValue(cursor: Cursor): string | null {
  const { text, at } = cursor;
  switch (text.charCodeAt(at)) {
    case 0x22:
      return rewriteString(cursor);
    case 0x7b:
      return rewriteObject(cursor);
    case 0x5b:
      return rewriteArray(cursor);
    case 0x74:
    case 0x6e:
      cursor.at = at + 4;
      return text.slice(at, at + 4);
    case 0x66:
      cursor.at = at + 5;
      return 'false';
    default:
      return rewriteNumber(cursor);
  }
}

function rewriteString(cursor: Cursor): string | null {
  const end = skipString(cursor.text, cursor.at);
  if (end < 0) return null;
  const raw = cursor.text.slice(cursor.at, end);
  cursor.at = end;
  return respell(raw, cursor.style);
}

function respell(raw: string, style: JsonStyle): string | null {
  // Without an escape, the plain spelling is the one that is there: most strings take this way.
  const asIs = style.strings === 'kept' || (!raw.includes('\\') && raw.isWellFormed());
  if (asIs && !(style.escapeLineSeparators && /[\u2028\u2029]/.test(raw))) return raw;
  const value = unescapeString(raw);
  if (value === null || !value.isWellFormed()) return null;
  const plain = JSON.stringify(value);
  if (!style.escapeLineSeparators) return plain;
  return plain.replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
}

function rewriteNumber(cursor: Cursor): string | null {
  const end = skipNumber(cursor.text, cursor.at);
  if (end < 0) return null;
  const raw = cursor.text.slice(cursor.at, end);
  cursor.at = end;
  return cursor.style.numbers === 'kept' ? raw : exactNumber(raw, cursor.style.phpArrays ? 'php' : 'js');
}

function rewriteArray(cursor: Cursor): string | null {
  const items: string[] = [];
  cursor.at = skipSpace(cursor.text, cursor.at + 1);
  while (cursor.text.charCodeAt(cursor.at) !== 0x5d) {
    const item = rewriteValue(cursor);
    if (item === null) return null;
    items.push(item);
    skipSeparator(cursor);
    if (cursor.at >= cursor.text.length) return null;
  }
  cursor.at += 1;
  return `[${items.join(',')}]`;
}

function rewriteObject(cursor: Cursor): string | null {
  const members = new Map<string, Member>();
  cursor.at = skipSpace(cursor.text, cursor.at + 1);
  while (cursor.text.charCodeAt(cursor.at) !== 0x7d) {
    const member = rewriteMember(cursor);
    if (member === null || members.has(member.key)) return null;
    members.set(member.key, member);
    skipSeparator(cursor);
    if (cursor.at >= cursor.text.length) return null;
  }
  cursor.at += 1;
  return printObject([...members.values()], cursor.style);
}

interface Member {
  readonly key: string;
  readonly keyText: string;
  readonly value: string;
}

function rewriteMember(cursor: Cursor): Member | null {
  const start = cursor.at;
  const keyText = rewriteString(cursor);
  const key = keyText === null ? null : unescapeString(cursor.text.slice(start, cursor.at));
  if (keyText === null || key === null) return null;
  cursor.at = skipSpace(cursor.text, skipSpace(cursor.text, cursor.at) + 1);
  const value = rewriteValue(cursor);
  return value === null ? null : { key, keyText, value };
}

function skipSeparator(cursor: Cursor): void {
  const at = skipSpace(cursor.text, cursor.at);
  cursor.at = cursor.text.charCodeAt(at) === 0x2c ? skipSpace(cursor.text, at + 1) : at;
}

function printObject(members: readonly Member[], style: JsonStyle): string {
  if (style.phpArrays && members.every(({ key }, index) => key === String(index))) {
    return `[${members.map(({ value }) => value).join(',')}]`;
  }
  const ordered = inOrder(members, style.keyOrder);
  return `{${ordered.map(({ keyText, value }) => `${keyText}:${value}`).join(',')}}`;
}

function inOrder(members: readonly Member[], order: JsonStyle['keyOrder']): readonly Member[] {
  switch (order) {
    case 'kept':
      return members;
    case 'sorted':
      return members.toSorted((a, b) => (a.key < b.key ? -1 : 1));
    case 'integers-first': {
      // JavaScript objects list array indexes first, in numeric order, and the rest as they came.
      const indexes = members.filter(({ key }) => isArrayIndex(key));
      const rest = members.filter(({ key }) => !isArrayIndex(key));
      return [...indexes.toSorted((a, b) => Number(a.key) - Number(b.key)), ...rest];
    }
    default: {
      const never: never = order;
      throw new Error(`unknown key order: ${String(never)}`);
    }
  }
}

function isArrayIndex(key: string): boolean {
  return /^(?:0|[1-9]\d{0,9})$/.test(key) && Number(key) < 2 ** 32 - 1;
}

/**
 * A number as the language prints it after parsing; null when the print would not be exactly the same number, when
 * PHP and JavaScript use different forms (below 0.0001, from 1e15), or for a negative zero.
 * PHP keeps 64-bit integers; JavaScript keeps what a double holds.
 */
export function exactNumber(raw: string, language: 'php' | 'js'): string | null {
  if (/^-?\d+$/.test(raw)) return exactInteger(raw, language);
  const value = Number(raw);
  if (value === 0) return raw.startsWith('-') || !/^[0.]+(?:[eE].*)?$/.test(raw) ? null : '0';
  const size = Math.abs(value);
  if (!(size >= 1e-4 && size < 1e15)) return null;
  const printed = String(value);
  return decimalParts(printed) === decimalParts(raw) ? printed : null;
}

const int64Max = 9_223_372_036_854_775_807n;

function exactInteger(raw: string, language: 'php' | 'js'): string | null {
  if (raw === '-0' || raw.length > 20) return null;
  if (language === 'js') return String(Number(raw)) === raw ? raw : null;
  const value = BigInt(raw);
  return value >= -int64Max - 1n && value <= int64Max ? raw : null;
}

/** Sign, significant digits and exponent: equal for two spellings of one decimal number. */
function decimalParts(text: string): string {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  const fraction = match?.[3] ?? '';
  const digits = `${match?.[2] ?? ''}${fraction}`.replace(/^0+/, '');
  const significant = withoutTrailingZeros(digits);
  const exponent = Number(match?.[4] ?? '0') - fraction.length + (digits.length - significant.length);
  return `${match?.[1] ?? ''}${significant}e${exponent}`;
}

function withoutTrailingZeros(digits: string): string {
  // A loop, because a pattern anchored at the end takes quadratic time on long runs of zeros.
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === 0x30) end -= 1;
  return digits.slice(0, end);
}
