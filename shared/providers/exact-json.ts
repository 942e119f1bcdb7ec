/** A JSON object whose members are not known yet. Read it with `textOf` and its kin, which see own members only. */
export type Fields = Readonly<Record<string, unknown>>;

export type ExactReading =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly reason: 'not-json' | 'duplicate-key'; readonly detail: string };

/** Deeper than any documented message by far; a limit, since the reader below is recursive. */
const depthMax = 32;

/**
 * Reads JSON with every number as its source text, so that a 20-digit ICCID never passes through a float.
 * A member name that stands twice in one object, at any depth, is refused: two readers could see two values.
 */
export function readExactJson(input: Uint8Array | string): ExactReading {
  const text = typeof input === 'string' ? input : decodeUtf8(input);
  if (text === null) return { ok: false, reason: 'not-json', detail: 'the text is not UTF-8' };
  try {
    JSON.parse(text);
  } catch {
    return { ok: false, reason: 'not-json', detail: `${text.length} characters that are not JSON` };
  }
  const reading: Reading = { text, at: 0, fault: null };
  const value = readValue(reading, 1);
  return reading.fault ?? { ok: true, value };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}

/** A walk over JSON that is known to be valid, so that nothing is checked twice. Ends at the first fault. */
interface Reading {
  readonly text: string;
  at: number;
  fault: Extract<ExactReading, { ok: false }> | null;
}

function readValue(reading: Reading, depth: number): unknown {
  skipSpace(reading);
  const { text, at } = reading;
  switch (text.charCodeAt(at)) {
    case 0x22:
      return readString(reading);
    case 0x7b:
      return readObject(reading, depth);
    case 0x5b:
      return readList(reading, depth);
    case 0x74:
      reading.at += 4;
      return true;
    case 0x66:
      reading.at += 5;
      return false;
    case 0x6e:
      reading.at += 4;
      return null;
    default:
      return readNumberText(reading);
  }
}

function readObject(reading: Reading, depth: number): unknown {
  const members: Record<string, unknown> = {};
  if (isTooDeep(reading, depth)) return members;
  while (opensNext(reading, 0x7d)) {
    skipSpace(reading);
    const name = readString(reading);
    if (Object.hasOwn(members, name)) {
      const detail = `the member ${name.slice(0, 64)} stands twice`;
      reading.fault = { ok: false, reason: 'duplicate-key', detail };
      return members;
    }
    skipSpace(reading);
    reading.at += 1;
    const value = readValue(reading, depth + 1);
    if (reading.fault !== null) return members;
    // Assignment would set the prototype instead of a member of this name.
    if (name === '__proto__')
      Object.defineProperty(members, name, { value, enumerable: true, configurable: true, writable: true });
    else members[name] = value;
  }
  return members;
}

function readList(reading: Reading, depth: number): unknown {
  const items: unknown[] = [];
  if (isTooDeep(reading, depth)) return items;
  while (opensNext(reading, 0x5d)) {
    items.push(readValue(reading, depth + 1));
    if (reading.fault !== null) return items;
  }
  return items;
}

function isTooDeep(reading: Reading, depth: number): boolean {
  if (depth <= depthMax) return false;
  reading.fault = { ok: false, reason: 'not-json', detail: `nested deeper than ${depthMax} levels` };
  return true;
}

/** Steps over the bracket that opens or the comma that separates; false, and behind it, at the closing bracket. */
function opensNext(reading: Reading, close: number): boolean {
  skipSpace(reading);
  const { text } = reading;
  const code = text.charCodeAt(reading.at);
  reading.at += 1;
  if (code === close) return false;
  if (code === 0x2c) return true;
  // The opening bracket: an empty object or list closes at once.
  skipSpace(reading);
  if (text.charCodeAt(reading.at) !== close) return true;
  reading.at += 1;
  return false;
}

function readString(reading: Reading): string {
  const { text, at } = reading;
  let end = text.indexOf('"', at + 1);
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1);
  reading.at = end + 1;
  const inner = text.slice(at + 1, end);
  return inner.includes('\\') ? String(JSON.parse(`"${inner}"`)) : inner;
}

/** A quote after an odd number of backslashes belongs to the string. */
function isEscaped(text: string, quote: number): boolean {
  let slashes = 0;
  while (text.charCodeAt(quote - 1 - slashes) === 0x5c) slashes += 1;
  return slashes % 2 === 1;
}

function readNumberText(reading: Reading): string {
  const { text, at } = reading;
  let end = at;
  while (end < text.length && isNumberPart(text.charCodeAt(end))) end += 1;
  reading.at = end;
  return text.slice(at, end);
}

/** Digits, sign, point and exponent: all that a JSON number is made of. */
function isNumberPart(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    code === 0x2d ||
    code === 0x2b ||
    code === 0x2e ||
    (code | 0x20) === 0x65
  );
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
  if (!Object.hasOwn(fields, name)) return null;
  const value = fields[name];
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
