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
  const fault = structureFault(text);
  if (fault !== null) return fault;
  return { ok: true, value: JSON.parse(text, keepNumberText) };
}

function keepNumberText(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === 'number' ? (context?.source ?? String(value)) : value;
}

function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Expects valid JSON: only then is every match below a whole string or a bracket outside one. */
function structureFault(text: string): Extract<ExactReading, { ok: false }> | null {
  const names: (Set<string> | null)[] = [];
  let lastString = '';
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:]/g)) {
    if (token === '{' || token === '[') {
      names.push(token === '{' ? new Set() : null);
      if (names.length > depthMax) {
        return { ok: false, reason: 'not-json', detail: `nested deeper than ${depthMax} levels` };
      }
    } else if (token === '}' || token === ']') {
      names.pop();
    } else if (token === ':') {
      const name = String(JSON.parse(lastString));
      const seen = names.at(-1);
      if (seen?.has(name)) {
        return { ok: false, reason: 'duplicate-key', detail: `the member ${name.slice(0, 64)} stands twice` };
      }
      seen?.add(name);
    } else {
      lastString = token;
    }
  }
  return null;
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
