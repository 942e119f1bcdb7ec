import type { Json } from '../../shared/core/action.ts';
import { misused } from './failure.ts';

/** One `path=text` or `path:=json` of a command line. */
export interface FieldValue {
  /** `data.0.packageCode` is three parts. */
  readonly path: readonly string[];
  readonly value: string | { readonly json: Json };
}

/** Deepest path: no provider nests that far. */
const depthMax = 10;
const indexMax = 1_000;

/** Reads `field=value` words. `field:=value` gives a JSON value. Throws OpsError `usage`. */
export function readFieldValues(words: readonly string[]): readonly FieldValue[] {
  return words.map((word) => {
    const match = /^([^=:]+)(:?=)([\s\S]*)$/.exec(word);
    const path = match?.[1]?.split('.') ?? [];
    if (match === null || path.length > depthMax || path.some((part) => part === '' || unsafe.has(part))) {
      throw misused(
        `"${word.slice(0, 80)}" is no field: write name=text, name:=json, or data.0.name=text for one further in`,
      );
    }
    const text = match[3] ?? '';
    return { path, value: match[2] === '=' ? text : { json: readJson(word, text) } };
  });
}

const unsafe: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

function readJson(word: string, text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    throw misused(`"${word.slice(0, 80)}": what follows := must be JSON, such as 5, true, null or {"a":1}`);
  }
}

/**
 * Sets fields in a body. A text takes the type that the body has at that place: a number where a number stands and
 * the text is a whole number that survives, else text.
 */
export function withFields(body: Json, fields: readonly FieldValue[]): Json {
  return fields.reduce((current, field) => setAt(current, field.path, field.value), body);
}

function setAt(node: Json | undefined, path: readonly string[], value: FieldValue['value']): Json {
  const [key, ...rest] = path;
  if (key === undefined) return leaf(node, value);
  if (Array.isArray(node) || (node === undefined && /^\d{1,4}$/.test(key))) {
    return setInList(Array.isArray(node) ? node : [], key, rest, value);
  }
  const members = isRecord(node) ? node : {};
  const own = Object.hasOwn(members, key) ? members[key] : undefined;
  return { ...members, [key]: setAt(own, rest, value) };
}

function setInList(
  list: readonly Json[],
  key: string,
  rest: readonly string[],
  value: FieldValue['value'],
): Json {
  const index = /^\d{1,4}$/.test(key) ? Number(key) : Number.NaN;
  if (!(index <= Math.min(list.length, indexMax))) {
    throw misused(
      `the list has ${list.length} entries, so "${key}" is no place in it: 0 to ${list.length} are`,
    );
  }
  const changed = setAt(list[index], rest, value);
  return [...list.slice(0, index), changed, ...list.slice(index + 1)];
}

function leaf(node: Json | undefined, value: FieldValue['value']): Json {
  if (typeof value !== 'string') return value.json;
  const asNumber = Number(value);
  const isPlain = /^-?\d{1,15}$/.test(value) && String(asNumber) === value;
  return typeof node === 'number' && isPlain ? asNumber : value;
}

function isRecord(node: Json | undefined): node is { readonly [key: string]: Json } {
  return typeof node === 'object' && node !== null && !Array.isArray(node);
}
