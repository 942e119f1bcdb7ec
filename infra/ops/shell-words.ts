export type ShellWords =
  | { readonly ok: true; readonly words: readonly string[] }
  | { readonly ok: false; readonly detail: string };

/**
 * Splits a command line as a POSIX shell would, as far as a copied `curl` line needs it: quotes, backslashes, line
 * continuations and `$'…'`. Variables and commands are not run: they stay as they are written.
 * Source: POSIX.1-2024, Shell Command Language, section 2.2 (Quoting).
 */
export function splitShellWords(line: string): ShellWords {
  const words: string[] = [];
  let word: string | null = null;
  let at = 0;
  while (at < line.length) {
    const char = line[at] ?? '';
    if (/\s/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
      at += 1;
      continue;
    }
    const piece = readPiece(line, at);
    if (piece === null)
      return { ok: false, detail: `the quote that opens at character ${at + 1} is never closed` };
    // A continued line is no word by itself.
    if (piece.text !== '' || piece.quoted) word = (word ?? '') + piece.text;
    at = piece.end;
  }
  if (word !== null) words.push(word);
  return { ok: true, words };
}

interface Piece {
  readonly text: string;
  readonly quoted: boolean;
  readonly end: number;
}

/** One quoted part or one plain character from `at`; null when a quote is not closed. */
function readPiece(line: string, at: number): Piece | null {
  const rest = line.slice(at);
  const patterns: readonly (readonly [RegExp, (inner: string) => string])[] = [
    [/^\$'((?:[^'\\]|\\[\s\S])*)'/, ansiC],
    [/^'([^']*)'/, (inner) => inner],
    [/^"((?:[^"\\]|\\[\s\S])*)"/, (inner) => inner.replace(/\\\n/g, '').replace(/\\(["\\$`])/g, '$1')],
  ];
  for (const [pattern, read] of patterns) {
    const match = pattern.exec(rest);
    if (match !== null) return { text: read(match[1] ?? ''), quoted: true, end: at + match[0].length };
  }
  if (/^(?:\$'|['"])/.test(rest)) return null;
  if (rest.startsWith('\\\r\n')) return { text: '', quoted: false, end: at + 3 };
  if (rest.startsWith('\\\n')) return { text: '', quoted: false, end: at + 2 };
  if (rest.startsWith('\\') && rest.length > 1) return { text: rest[1] ?? '', quoted: true, end: at + 2 };
  return { text: rest[0] ?? '', quoted: false, end: at + 1 };
}

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '0': '\0',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
};

function ansiC(inner: string): string {
  return inner.replace(/\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([\s\S]))/g, (_all, unit, byte, char) => {
    const hex = unit ?? byte;
    if (typeof hex === 'string') return String.fromCharCode(Number.parseInt(hex, 16));
    return typeof char === 'string' ? (escapes[char] ?? char) : '';
  });
}
