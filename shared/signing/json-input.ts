/** Plain JSON as a caller holds it. An undefined member counts as absent. */
export type JsonInput =
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly JsonInput[]
  | { readonly [key: string]: JsonInput };

/** Parameters as an object, or as pairs where the order or integer-like keys must survive. */
export type JsonParams = Readonly<Record<string, JsonInput>> | readonly (readonly [string, JsonInput])[];

export function paramEntries(params: JsonParams): readonly (readonly [string, JsonInput])[] {
  return isPairs(params) ? params : Object.entries(params);
}

function isPairs(params: JsonParams): params is readonly (readonly [string, JsonInput])[] {
  return Array.isArray(params);
}

/** Compact JSON, `null` for what JSON can't hold. `sorted` orders the keys of every object by UTF-16 code units. */
export function jsonText(value: JsonInput, keyOrder: 'as-given' | 'sorted' = 'as-given'): string {
  if (value === null || value === undefined || typeof value !== 'object')
    return JSON.stringify(value) ?? 'null';
  if (isList(value)) return `[${value.map((item) => jsonText(item, keyOrder)).join(',')}]`;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  if (keyOrder === 'sorted') members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${jsonText(member, keyOrder)}`).join(',')}}`;
}

export function isList(value: JsonInput): value is readonly JsonInput[] {
  return Array.isArray(value);
}

/** True for null, an absent value and the empty string: what every provider leaves unsigned. */
export function isBlank(value: JsonInput): value is null | undefined | '' {
  return value === null || value === undefined || value === '';
}
