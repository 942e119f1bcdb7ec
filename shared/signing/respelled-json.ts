import { compactText, skipString } from './raw-json.ts';
import { jsStyle, rewriteJson, sortedStyle } from './rewritten-json.ts';

/** Other spellings of a nested value that senders or machines in between are known to make, with what each means. */
export function otherSpellings(valueText: string): readonly (readonly [string, string])[] {
  const compact = compactText(valueText);
  const plain = rewriteJson(valueText, { ...jsStyle, numbers: 'kept', keyOrder: 'kept' }) ?? compact;
  const sorted = rewriteJson(valueText, sortedStyle) ?? compact;
  return [
    ['the keys inside nested values were sorted before signing', sorted],
    ['nested values were signed with spaces after commas and colons, as Python prints them', spaced(plain)],
    ['non-ASCII characters were signed as \\uXXXX escapes', asciiEscaped(plain)],
    ['slashes were signed as \\/', plain.replaceAll('/', '\\/')],
    [
      'non-ASCII characters and slashes were signed as escapes, as PHP prints them',
      asciiEscaped(plain.replaceAll('/', '\\/')),
    ],
    ['escapes inside nested values were resolved before signing', plain],
    ['nested values were signed with a newline at the end', `${compact}\n`],
  ];
}

/** A space after each comma and colon between tokens. The text must be compact JSON. */
function spaced(compact: string): string {
  let text = '';
  for (let at = 0; at < compact.length; ) {
    const character = compact.charAt(at);
    const stringEnd = character === '"' ? skipString(compact, at) : -1;
    const end = stringEnd > at ? stringEnd : at + 1;
    text += compact.slice(at, end);
    if (character === ',' || character === ':') text += ' ';
    at = end;
  }
  return text;
}

export function asciiEscaped(text: string): string {
  return text.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
