import {
  type JsonBody,
  plainString,
  type RawFailure,
  type RawValue,
  readRoot,
  skipNumber,
  skipString,
} from '../signing/index.ts';

/** A JSON object whose members are not known yet. Read it with `textOf` and its kin, which see own members only. */
export type Fields = Readonly<Record<string, unknown>>;

interface Refusal {
  readonly ok: false;
  readonly reason: 'not-json' | 'not-an-object' | 'duplicate-key';
  readonly detail: string;
}
export type ExactReading = { readonly ok: true; readonly value: unknown } | Refusal;

/** Deeper than any documented message by far; a limit, since the reader below is recursive. */
const depthMax = 32;

/**
 * Reads JSON with every number as its source text, so that a 20-digit ICCID never passes through a float.
 * A member name that stands twice in one object, at any depth, is refused: two readers could see two values.
 */
export function readExactJson(text: string): ExactReading {
  const reading: Reading = { text, at: 0, fault: null, twice: null };
  const value = readValue(reading, 1);
  skipSpace(reading);
  if (reading.fault === null && reading.at !== text.length) notJson(reading);
  return reading.fault ?? reading.twice ?? { ok: true, value };
}

/** {@link readExactJson} of a callback's body, which is an object or a list: by the texts of its parts. */
export function readExactBody(body: JsonBody): ExactReading {
  const root = readRoot(body);
  if (!root.ok) return refusalOf(root);
  const reading: Reading = { text: '', at: 0, fault: null, twice: null };
  const value = root.kind === 'array' ? root.items.map((item) => readPart(reading, item)) : {};
  if (root.kind === 'object') {
    for (const member of root.members) setMember(value, member.key, readPart(reading, member));
  }
  return reading.fault ?? reading.twice ?? { ok: true, value };
}

function refusalOf({ reason, detail }: RawFailure): Refusal {
  const isJson = reason === 'duplicate-key' || reason === 'not-an-object';
  return { ok: false, reason: isJson ? reason : 'not-json', detail };
}

/** A value whose text was checked already; what is nested is walked once more, since it is read name by name. */
function readPart(reading: Reading, { kind, valueText }: RawValue): unknown {
  switch (kind) {
    case 'string':
      return plainString(valueText);
    case 'number':
      return valueText;
    case 'true':
      return true;
    case 'false':
      return false;
    case 'null':
      return null;
    case 'object':
    case 'array':
      reading.text = valueText;
      reading.at = 0;
      return readValue(reading, 2);
    default: {
      const never: never = kind;
      throw new Error(`unknown kind of value: ${String(never)}`);
    }
  }
}

/** A walk over the text that holds it to the grammar of RFC 8259 as it goes. Ends at the first fault. */
interface Reading {
  text: string;
  at: number;
  fault: Refusal | null;
  /** The first name that stands twice. The walk goes on, since a broken text is called broken first. */
  twice: Refusal | null;
}

/** Notes that the text isn't JSON, unless a fault is known already, and gives a value for the caller to return. */
function notJson(reading: Reading): null {
  const detail = `${reading.text.length} characters that are not JSON, from offset ${reading.at} on`;
  reading.fault ??= { ok: false, reason: 'not-json', detail };
  return null;
}

function readValue(reading: Reading, depth: number): unknown {
  skipSpace(reading);
  switch (reading.text.charCodeAt(reading.at)) {
    case 0x22:
      return readString(reading);
    case 0x7b:
      return readObject(reading, depth);
    case 0x5b:
      return readList(reading, depth);
    case 0x74:
      return readWord(reading, 'true', true);
    case 0x66:
      return readWord(reading, 'false', false);
    case 0x6e:
      return readWord(reading, 'null', null);
    default:
      return readNumberText(reading);
  }
}

function readWord(reading: Reading, word: string, value: boolean | null): boolean | null {
  if (!reading.text.startsWith(word, reading.at)) return notJson(reading);
  reading.at += word.length;
  return value;
}

function readObject(reading: Reading, depth: number): unknown {
  const members: Record<string, unknown> = {};
  if (isTooDeep(reading, depth) || isEmpty(reading, 0x7d)) return members;
  do {
    skipSpace(reading);
    const name = readString(reading);
    if (reading.fault !== null) return members;
    if (Object.hasOwn(members, name)) {
      const detail = `the member ${name.slice(0, 64)} stands twice`;
      reading.twice ??= { ok: false, reason: 'duplicate-key', detail };
    }
    skipSpace(reading);
    if (reading.text.charCodeAt(reading.at) !== 0x3a) {
      notJson(reading);
      return members;
    }
    reading.at += 1;
    const value = readValue(reading, depth + 1);
    if (reading.fault !== null) return members;
    setMember(members, name, value);
  } while (isFollowed(reading, 0x7d));
  return members;
}

function setMember(members: Record<string, unknown>, name: string, value: unknown): void {
  // Assignment would set the prototype instead of a member of this name.
  if (name === '__proto__')
    Object.defineProperty(members, name, { value, enumerable: true, configurable: true, writable: true });
  else members[name] = value;
}

function readList(reading: Reading, depth: number): unknown {
  const items: unknown[] = [];
  if (isTooDeep(reading, depth) || isEmpty(reading, 0x5d)) return items;
  do {
    items.push(readValue(reading, depth + 1));
    if (reading.fault !== null) return items;
  } while (isFollowed(reading, 0x5d));
  return items;
}

function isTooDeep(reading: Reading, depth: number): boolean {
  if (depth <= depthMax) return false;
  reading.fault = { ok: false, reason: 'not-json', detail: `nested deeper than ${depthMax} levels` };
  return true;
}

/** Steps over the bracket that opens; true, and behind the closing one, when nothing stands between them. */
function isEmpty(reading: Reading, close: number): boolean {
  reading.at += 1;
  skipSpace(reading);
  if (reading.text.charCodeAt(reading.at) !== close) return false;
  reading.at += 1;
  return true;
}

/** Steps over the comma that separates; false, and behind it, at the closing bracket. */
function isFollowed(reading: Reading, close: number): boolean {
  skipSpace(reading);
  const code = reading.text.charCodeAt(reading.at);
  if (code !== close && code !== 0x2c) {
    notJson(reading);
    return false;
  }
  reading.at += 1;
  return code === 0x2c;
}

function readString(reading: Reading): string {
  const { text, at } = reading;
  const end = text.charCodeAt(at) === 0x22 ? skipString(text, at) : -1;
  if (end < 0) {
    notJson(reading);
    return '';
  }
  reading.at = end;
  return plainString(text.slice(at, end));
}

function readNumberText(reading: Reading): string {
  const { text, at } = reading;
  const end = skipNumber(text, at);
  if (end < 0) {
    notJson(reading);
    return '';
  }
  reading.at = end;
  return text.slice(at, end);
}

function skipSpace(reading: Reading): void {
  const { text } = reading;
  let code = text.charCodeAt(reading.at);
  while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
    reading.at += 1;
    code = text.charCodeAt(reading.at);
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The member's own text, trimmed; null when it is missing, blank or not a text. */
export function textOf(fields: Fields, name: string): string | null {
  return Object.hasOwn(fields, name) ? trimmedOrNull(fields[name]) : null;
}

/** A text without the space around it; null for a blank one and for anything else. */
export function trimmedOrNull(value: unknown): string | null {
  const text = typeof value === 'string' ? value.trim() : '';
  return text === '' ? null : text;
}

/** The first of these members that has a text. */
export function firstText(fields: Fields, names: readonly string[]): string | null {
  for (const name of names) {
    const text = textOf(fields, name);
    if (text !== null) return text;
  }
  return null;
}

/** The one text that these members agree on; null when there is none, or when two of them differ. */
export function agreedText(fields: Fields, names: readonly string[]): string | null {
  const texts = new Set(names.flatMap((name) => textOf(fields, name) ?? []));
  const [only] = texts;
  return texts.size === 1 && only !== undefined ? only : null;
}

/** One spelling for equal content: members sorted by name at every depth, lists in their order. */
export function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(',')}]`;
  if (!isFields(value)) return JSON.stringify(value ?? null);
  const members = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonicalText(value[name])}`);
  return `{${members.join(',')}}`;
}
