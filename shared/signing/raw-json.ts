/** Deepest nesting that is read; the root counts as 1. Deeper bodies are refused, so that recursion stays bounded. */
export const jsonDepthMax = 64;

export type RawKind = 'string' | 'number' | 'true' | 'false' | 'null' | 'object' | 'array';

/** One value as it stands in the text. */
export interface RawValue {
  /** Exact text of the value: quotes, number spelling, escapes and inner whitespace kept. */
  readonly valueText: string;
  readonly kind: RawKind;
  /** Offset of the value's first UTF-16 code unit in the decoded body. */
  readonly start: number;
  /** Offset behind the value's last code unit. */
  readonly end: number;
}

/** One member of the root object. */
export interface RawMember extends RawValue {
  /** The name with its escapes resolved. */
  readonly key: string;
  /** The name as written, with quotes and escapes. */
  readonly keyText: string;
}

export type RawReason = 'not-utf8' | 'not-json' | 'not-an-object' | 'duplicate-key' | 'too-deep';
export type RawFailure = { readonly ok: false; readonly reason: RawReason; readonly detail: string };
export type RawMembers = { readonly ok: true; readonly members: readonly RawMember[] } | RawFailure;
export type RawRoot =
  | { readonly ok: true; readonly kind: 'object'; readonly members: readonly RawMember[] }
  | { readonly ok: true; readonly kind: 'array'; readonly items: readonly RawValue[] }
  | RawFailure;

// Scanners return the offset behind what they read, or a negative number: -1 - offset of the fault,
// and below `deepFault` when the fault is the nesting. Plain numbers keep the hot loop free of allocation.
const deepFault = -(2 ** 40);
const fault = (at: number): number => -1 - at;

/** A body as bytes, or what gives it as {@link readRoot} took it apart: asked for once the rest of a message is right. */
export type JsonBody = Uint8Array | (() => RawRoot);

/**
 * The members of the root object with the exact text of every value, after a strict check of the whole body
 * against the JSON grammar.
 *
 * Fails for bytes that aren't UTF-8, a byte order mark, trailing text, a root that isn't an object, a key that
 * occurs twice in the root, and nesting beyond {@link jsonDepthMax}. Never throws.
 * Source: RFC 8259, sections 2 to 8.
 */
export function readMembers(body: JsonBody): RawMembers {
  const root = readRoot(body);
  if (!root.ok) return root;
  if (root.kind === 'object') return { ok: true, members: root.members };
  return notAnObject('an array');
}

/** Like {@link readMembers}, and takes an array as the root too: its items come with their exact text. */
export function readRoot(body: JsonBody): RawRoot {
  if (!(body instanceof Uint8Array)) return body();
  const text = decodeUtf8(body);
  if (text === null) {
    return { ok: false, reason: 'not-utf8', detail: `the body (${body.length} bytes) is not valid UTF-8` };
  }
  return readRootText(text);
}

/** {@link readRoot} for text that is decoded already, such as a nested value. */
export function readRootText(text: string): RawRoot {
  const start = skipSpace(text, 0);
  const first = text.charCodeAt(start);
  const members: RawMember[] = [];
  const items: RawValue[] = [];
  let end: number;
  if (first === 0x7b) end = scanObject(text, start, 1, members);
  else if (first === 0x5b) end = scanArray(text, start, 1, items);
  else end = skipValue(text, start, 1);
  if (end < 0) return scanFailure(text, end);
  const rest = skipSpace(text, end);
  if (rest !== text.length) return scanFailure(text, fault(rest));
  if (first === 0x5b) return { ok: true, kind: 'array', items };
  if (first !== 0x7b) return notAnObject(`a ${kindAt(first)}`);
  return withoutDuplicates(members);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of well-formed UTF-8, with a byte order mark kept as a character; null for other bytes. */
export function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}

/**
 * The string that a JSON string text stands for; null when the text, quotes included, isn't one.
 * A lone surrogate escape stays a lone surrogate: ask `isWellFormed()` before it is hashed.
 */
export function unescapeString(rawText: string): string | null {
  if (rawText.charCodeAt(0) !== 0x22 || skipString(rawText, 0) !== rawText.length) return null;
  return plainString(rawText);
}

/** {@link unescapeString} of a string's text that a reader of this file has checked already. */
export function plainString(checkedText: string): string {
  return checkedText.includes('\\') ? String(JSON.parse(checkedText)) : checkedText.slice(1, -1);
}

/** The text without the whitespace between JSON tokens; whitespace inside strings and all spellings stay. */
export function compactText(valueText: string): string {
  // Whitespace between tokens always touches a structural character or an end, so most texts are done here.
  if (!/[ \t\n\r][,:[\]{}]|[,:[\]{}][ \t\n\r]|^[ \t\n\r]|[ \t\n\r]$/.test(valueText)) return valueText;
  let compact = '';
  let from = 0;
  for (let at = 0; at < valueText.length; ) {
    const code = valueText.charCodeAt(at);
    if (code === 0x22) {
      at = stringEnd(valueText, at);
    } else if (isSpace(code)) {
      compact += valueText.slice(from, at);
      at = skipSpace(valueText, at);
      from = at;
    } else {
      at += 1;
    }
  }
  return compact + valueText.slice(from);
}

/** Offset behind a string of valid JSON; the end of the text for anything else. */
function stringEnd(text: string, at: number): number {
  for (let quote = text.indexOf('"', at + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let slashes = 0;
    while (text.charCodeAt(quote - 1 - slashes) === 0x5c) slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
  }
  return text.length;
}

function withoutDuplicates(members: readonly RawMember[]): RawRoot {
  const seen = new Set<string>();
  for (const { key } of members) {
    if (seen.has(key)) {
      const detail = `the key ${JSON.stringify(key.slice(0, 100))} occurs twice in the root object: send it once`;
      return { ok: false, reason: 'duplicate-key', detail };
    }
    seen.add(key);
  }
  return { ok: true, kind: 'object', members };
}

function notAnObject(found: string): RawFailure {
  return { ok: false, reason: 'not-an-object', detail: `the root is ${found}, but must be an object` };
}

function scanFailure(text: string, end: number): RawFailure {
  if (end < deepFault) {
    return { ok: false, reason: 'too-deep', detail: `nesting goes beyond ${jsonDepthMax} levels` };
  }
  const at = -1 - end;
  const what = at >= text.length ? 'the text ends too early' : `unexpected character at offset ${at}`;
  const length = text.length === 0 ? 'the body is empty' : `${what} of ${text.length}`;
  return { ok: false, reason: 'not-json', detail: length };
}

function scanObject(text: string, start: number, depth: number, into: RawMember[] | null): number {
  let at = skipSpace(text, start + 1);
  if (text.charCodeAt(at) === 0x7d) return at + 1;
  for (;;) {
    if (text.charCodeAt(at) !== 0x22) return fault(at);
    const keyEnd = skipString(text, at);
    if (keyEnd < 0) return keyEnd;
    const colon = skipSpace(text, keyEnd);
    if (text.charCodeAt(colon) !== 0x3a) return fault(colon);
    const valueStart = skipSpace(text, colon + 1);
    const valueEnd = skipValue(text, valueStart, depth + 1);
    if (valueEnd < 0) return valueEnd;
    if (into !== null) into.push(memberAt(text, at, keyEnd, valueStart, valueEnd));
    at = skipSpace(text, valueEnd);
    const code = text.charCodeAt(at);
    if (code === 0x7d) return at + 1;
    if (code !== 0x2c) return fault(at);
    at = skipSpace(text, at + 1);
  }
}

function scanArray(text: string, start: number, depth: number, into: RawValue[] | null): number {
  let at = skipSpace(text, start + 1);
  if (text.charCodeAt(at) === 0x5d) return at + 1;
  for (;;) {
    const end = skipValue(text, at, depth + 1);
    if (end < 0) return end;
    if (into !== null) into.push(valueAt(text, at, end));
    at = skipSpace(text, end);
    const code = text.charCodeAt(at);
    if (code === 0x5d) return at + 1;
    if (code !== 0x2c) return fault(at);
    at = skipSpace(text, at + 1);
  }
}

function memberAt(text: string, keyStart: number, keyEnd: number, start: number, end: number): RawMember {
  const keyText = text.slice(keyStart, keyEnd);
  const kind = kindAt(text.charCodeAt(start));
  return { key: plainString(keyText), keyText, valueText: text.slice(start, end), kind, start, end };
}

function valueAt(text: string, start: number, end: number): RawValue {
  return { valueText: text.slice(start, end), kind: kindAt(text.charCodeAt(start)), start, end };
}

function kindAt(first: number): RawKind {
  switch (first) {
    case 0x22:
      return 'string';
    case 0x7b:
      return 'object';
    case 0x5b:
      return 'array';
    case 0x74:
      return 'true';
    case 0x66:
      return 'false';
    case 0x6e:
      return 'null';
    default:
      return 'number';
  }
}

function skipValue(text: string, at: number, depth: number): number {
  switch (text.charCodeAt(at)) {
    case 0x22:
      return skipString(text, at);
    case 0x7b:
      return depth > jsonDepthMax ? deepFault + fault(at) : scanObject(text, at, depth, null);
    case 0x5b:
      return depth > jsonDepthMax ? deepFault + fault(at) : scanArray(text, at, depth, null);
    case 0x74:
      return text.startsWith('true', at) ? at + 4 : fault(at);
    case 0x66:
      return text.startsWith('false', at) ? at + 5 : fault(at);
    case 0x6e:
      return text.startsWith('null', at) ? at + 4 : fault(at);
    default:
      return skipNumber(text, at);
  }
}

/** Offset behind the string that opens at `at`, or a fault: control characters and unknown escapes are refused. */
export function skipString(text: string, at: number): number {
  const length = text.length;
  for (let i = at + 1; i < length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === 0x22) return i + 1;
    if (code < 0x20) return fault(i);
    if (code === 0x5c) {
      i += 1;
      const letter = text.charCodeAt(i);
      if (letter === 0x75) {
        for (let hex = 1; hex <= 4; hex += 1) if (!isHex(text.charCodeAt(i + hex))) return fault(i + hex);
        i += 4;
      } else if (!isShortEscape(letter)) {
        return fault(i);
      }
    }
  }
  return fault(length);
}

/** Offset behind the number that starts at `at`, or a fault. */
export function skipNumber(text: string, at: number): number {
  let i = text.charCodeAt(at) === 0x2d ? at + 1 : at;
  const whole = i;
  i = skipDigits(text, i);
  if (i === whole || (text.charCodeAt(whole) === 0x30 && i > whole + 1)) return fault(whole);
  if (text.charCodeAt(i) === 0x2e) {
    const fraction = i + 1;
    i = skipDigits(text, fraction);
    if (i === fraction) return fault(i);
  }
  if ((text.charCodeAt(i) | 0x20) === 0x65) {
    const sign = text.charCodeAt(i + 1);
    const exponent = sign === 0x2b || sign === 0x2d ? i + 2 : i + 1;
    i = skipDigits(text, exponent);
    if (i === exponent) return fault(i);
  }
  return i;
}

function skipDigits(text: string, at: number): number {
  let i = at;
  while (text.charCodeAt(i) >= 0x30 && text.charCodeAt(i) <= 0x39) i += 1;
  return i;
}

export function skipSpace(text: string, at: number): number {
  let i = at;
  while (isSpace(text.charCodeAt(i))) i += 1;
  return i;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function isHex(code: number): boolean {
  const lower = code | 0x20;
  return (code >= 0x30 && code <= 0x39) || (lower >= 0x61 && lower <= 0x66);
}

function isShortEscape(code: number): boolean {
  // The characters " \ / b f n r t.
  return (
    code === 0x22 ||
    code === 0x5c ||
    code === 0x2f ||
    code === 0x62 ||
    code === 0x66 ||
    code === 0x6e ||
    code === 0x72 ||
    code === 0x74
  );
}
