import { isList } from './item-size.ts';
import type { Value } from './table.ts';

/** Marks bytes inside the JSON text; a member of that name in the data gets one more `$` in front. */
const bytesMember = '$bytes';
const escapable = /^\$+bytes$/;
const dollar = 36;

/** What stands for bytes in the JSON text, and how they are had back from it. */
export interface BytesAsJson {
  readonly put: (bytes: Uint8Array) => string | number;
  /** Null when `stored` can't stand for bytes. */
  readonly take: (stored: unknown) => Uint8Array | null;
}

/** The members of an item's data as JSON text. */
export function printData(data: { readonly [name: string]: Value }, bytes: BytesAsJson): string {
  return JSON.stringify(storable(data, bytes));
}

/** The same value where JSON can hold it as it is, which is nearly always; else a copy that it can hold. */
function storable(value: Value, bytes: BytesAsJson): unknown {
  // Any storage in UTF-8 turns a lone surrogate into U+FFFD; doing it here keeps both engines alike.
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return { [bytesMember]: bytes.put(value) };
  if (isList(value)) {
    const parts = value.map((part) => storable(part, bytes));
    return parts.every((part, i) => part === value[i]) ? value : parts;
  }
  return storableMembers(value, bytes);
}

function storableMembers(members: { readonly [name: string]: Value }, bytes: BytesAsJson): unknown {
  let changed: Map<string, unknown> | null = null;
  for (const name of Object.keys(members)) {
    const part = members[name] ?? null;
    const stored = storable(part, bytes);
    if (stored === part && nameInJson(name) === name) continue;
    changed ??= new Map();
    changed.set(name, stored);
  }
  if (changed === null) return members;
  const differing = changed;
  return Object.fromEntries(
    Object.entries(members).map(([name, part]) => [
      nameInJson(name),
      differing.has(name) ? differing.get(name) : part,
    ]),
  );
}

function nameInJson(name: string): string {
  const stored = name.toWellFormed();
  return stored.charCodeAt(0) === dollar && escapable.test(stored) ? `$${stored}` : stored;
}

/** Throws SyntaxError or TypeError for text that `printData` can't have made; the message says what is wrong. */
export function parseData(text: string, bytes: BytesAsJson): { readonly [name: string]: Value } {
  const json: unknown = JSON.parse(text);
  // Bytes are rare; only a row that may hold them pays for the walk.
  const value = isMembers(json) && text.includes('bytes"') ? loadedMembers(json, bytes) : json;
  if (!isMembers(value)) throw new TypeError('its data is not an object');
  return value;
}

/** The same value where it holds no bytes, which is nearly always; else a copy with the bytes in their places. */
function loaded(value: Value, bytes: BytesAsJson): Value {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (isList(value)) {
    const parts = value.map((part) => loaded(part, bytes));
    return parts.some((part, i) => part !== value[i]) ? parts : value;
  }
  return loadedMembers(value, bytes);
}

function loadedMembers(members: { readonly [name: string]: Value }, bytes: BytesAsJson): Value {
  const names = Object.keys(members);
  if (names[0] === bytesMember) {
    const taken = names.length === 1 ? bytes.take(members[bytesMember]) : null;
    if (taken === null) throw new TypeError('its bytes are not as they are written');
    return taken;
  }
  let copy: Map<string, Value> | null = null;
  for (const [i, name] of names.entries()) {
    const part = members[name] ?? null;
    const given = loaded(part, bytes);
    const givenName = name.charCodeAt(0) === dollar && escapable.test(name) ? name.slice(1) : name;
    if (copy === null && (given !== part || givenName !== name)) {
      copy = new Map(names.slice(0, i).map((before) => [before, members[before] ?? null]));
    }
    copy?.set(givenName, given);
  }
  return copy === null ? members : Object.fromEntries(copy);
}

/** What `JSON.parse` gives for an object is made of Values only. */
function isMembers(value: unknown): value is { readonly [name: string]: Value } {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}
