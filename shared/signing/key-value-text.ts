/** One `key=value` of a signing text. */
export type Pair = readonly [key: string, value: string];

/** `key=value` joined with `&`: the form that EIOTCLUB and the CSSS callbacks hash. Nothing is escaped. */
export function joinPairs(pairs: readonly Pair[]): string {
  let text = '';
  for (const [key, value] of pairs) text += text === '' ? `${key}=${value}` : `&${key}=${value}`;
  return text;
}

/** Order of the UTF-8 bytes, which is the order of code points. */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return codePointRank(left) - codePointRank(right);
  }
  return a.length - b.length;
}

/** Order of UTF-16 code units: JavaScript's and Java's own. */
export function compareUtf16(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Surrogates stand for code points above U+FFFF, so they come after U+E000 to U+FFFF. */
function codePointRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

/**
 * Finds a member that could also be read as several, because nothing in `a=1&b=2` tells the two members a and b
 * from one member a with the value `1&b=2`. Null when the split is the only one.
 *
 * Whoever holds one genuine message could otherwise send it again with members merged: same text, same signature,
 * another content, and so past a duplicate check. A value is only ambiguous where the hidden name would stand at its
 * sorted place, between its own key and the next: `AT&T=1` inside a package name is not.
 * `freeText` names a member that people write, such as an SMS: it may hold anything, if it is the last.
 */
export function ambiguousMember(
  sorted: readonly Pair[],
  compare: (a: string, b: string) => number,
  freeText: string | null,
): string | null {
  let joined = false;
  for (const [key, value] of sorted) {
    if (key.includes('=') || key.includes('&')) return key;
    joined ||= value.includes('&');
  }
  if (!joined) return null;
  for (const [index, [key, value]] of sorted.entries()) {
    const next = sorted[index + 1]?.[0];
    if (key === freeText && next === undefined) continue;
    for (const match of value.matchAll(/&([^&=]*)=/g)) {
      const hidden = match[1] ?? '';
      if (compare(hidden, key) > 0 && (next === undefined || compare(hidden, next) < 0)) return key;
    }
  }
  return null;
}
