import fc from 'fast-check';

/** A JSON string text in many spellings: escapes, astral characters, line separators, but no lone surrogate. */
const stringText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.constantFrom('a', 'B', '0', '&', '=', ' ', '中', '😀', '\u2028', '\u00e9', '/'),
      fc.constantFrom(
        '\\"',
        '\\\\',
        '\\/',
        '\\n',
        '\\u4e2d',
        '\\u4E2D',
        '\\ud83d\\ude00',
        '\\u0026',
        '\\u2029',
      ),
    ),
    { maxLength: 6 },
  )
  .map((parts) => `"${parts.join('')}"`);

const numberText = fc.constantFrom(
  '0',
  '7',
  '-1',
  '1024.0',
  '1e2',
  '1E2',
  '-0',
  '0.10',
  '8944538532008160222',
  '98.5',
  '1e400',
);

const space = fc.constantFrom('', '', '', ' ', '\n', '\r\n\t');

const keyText = fc.oneof(
  fc.constantFrom(
    '"a"',
    '"b"',
    '"id"',
    '"event"',
    '"data"',
    '"__proto__"',
    '"constructor"',
    '"10"',
    '"9"',
    '"中"',
  ),
  stringText,
);

/** One JSON value as text, with whitespace between tokens and repeated nested keys. */
const { value: valueText } = fc.letrec<{ value: string; list: string; object: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    stringText,
    numberText,
    fc.constantFrom('true', 'false', 'null', '""', '[]', '{}'),
    tie('list'),
    tie('object'),
  ),
  list: fc
    .tuple(fc.array(tie('value'), { maxLength: 3 }), space)
    .map(([items, gap]) => `[${items.join(`${gap},`)}${gap}]`),
  object: fc
    .tuple(fc.array(fc.tuple(keyText, tie('value')), { maxLength: 3 }), space)
    .map(
      ([members, gap]) => `{${gap}${members.map(([key, value]) => `${key}${gap}:${value}`).join(`,${gap}`)}}`,
    ),
}));

/** A root object as text whose keys are all different once their escapes are resolved, with the texts of its members. */
const objectParts = fc
  .tuple(
    fc.uniqueArray(fc.tuple(keyText, valueText), {
      maxLength: 6,
      selector: ([key]) => String(JSON.parse(key)),
    }),
    space,
  )
  .map(([members, gap]) => ({
    members,
    text: `{${gap}${members.map(([key, value]) => `${key}:${gap}${value}`).join(`${gap},`)}}`,
  }));

const objectText: fc.Arbitrary<string> = objectParts.map(({ text }) => text);

/** A root object without the characters that make `k=v` texts ambiguous, as a provider would send. */
const plainParams: fc.Arbitrary<Record<string, fc.JsonValue>> = fc.dictionary(
  fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,7}$/).filter((key) => key !== 'sign' && key !== 'timestamp'),
  fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => text.replaceAll('&', '+')),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.jsonValue({ maxDepth: 2, noUnicodeString: false }).map(withoutAmpersand),
  ),
  { maxKeys: 5 },
);

function withoutAmpersand(value: unknown): fc.JsonValue {
  const parsed: fc.JsonValue = JSON.parse(JSON.stringify(value).replaceAll('&', '+'));
  return parsed;
}

export const arbitrary = { stringText, numberText, valueText, objectParts, objectText, plainParams };
