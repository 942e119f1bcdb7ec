import {
  assertChanges,
  assertKey,
  assertKeys,
  assertQuery,
  holds,
  keyOf,
  sumsAdded,
} from '../../shared/store/change-rules.ts';
import { isList } from '../../shared/store/item-size.ts';
import { cursorAfter, decodeCursor, type PagePosition } from '../../shared/store/page-cursor.ts';
import type {
  Change,
  IndexName,
  Item,
  Key,
  NewItem,
  Page,
  Query,
  QueryOptions,
  Table,
  Value,
  WriteResult,
} from '../../shared/store/table.ts';
import { downFrom, firstFrom, insertAt, removeAt, type SortedList, upFrom } from './sorted-list.ts';

/**
 * The table as a program's own memory, without a database: for benches, and for tests that need many. What is written is
 * copied and frozen, and handed out as it lies there, so that no caller can change it. Bytes can't be frozen: an item
 * with bytes is copied once more each time it is handed out.
 */
export function memoryTable(): Table {
  const state: State = { partition: new Map(), due: new Map(), sim: new Map(), time: new Map() };
  return {
    get: async (key) => {
      assertKey(key);
      return read(state, key);
    },
    getMany: async (keys) => {
      assertKeys(keys);
      return keys.map((key) => read(state, key));
    },
    write: async (changes) => write(state, changes),
    query: async (query, options) => readPage(state, query, options),
    close: async () => undefined,
  };
}

/** An item's place in memory; a replace puts the next item there, so that indexes that list it need no change. */
interface Row {
  item: Item;
  hasBytes: boolean;
}

function given({ item, hasBytes }: Row): Item {
  return hasBytes ? stored(item, item.version) : item;
}

/** The rows of one partition (of the table or of an index). */
type Rows = SortedList<Row>;

/** By the name of what a query reads, then by partition. */
type State = Readonly<Record<Query['from'], Map<string, Rows>>>;

const indexNames: readonly IndexName[] = ['due', 'sim', 'time'];

function read(state: State, key: Key): Item | null {
  const row = find(state, key);
  return row === undefined ? null : given(row);
}

function find(state: State, key: Key): Row | undefined {
  const rows = state.partition.get(key.pk);
  if (rows === undefined) return undefined;
  const row = firstFrom(rows, before('partition', { ...key, indexPk: key.pk, indexSk: key.sk }));
  return row?.item.sk === key.sk ? row : undefined;
}

/** All guards are judged before anything is written; the changes of a write are about different items. */
function write(state: State, changes: readonly Change[]): WriteResult {
  assertChanges(changes);
  const failed: { readonly index: number; readonly found: Item | null }[] = [];
  const planned: { readonly row: Row | undefined; readonly next: Item | null }[] = [];
  for (const [index, change] of changes.entries()) {
    const row = find(state, keyOf(change));
    const found = row?.item ?? null;
    if (!holds(change, found)) failed.push({ index, found: row ? given(row) : null });
    else if (failed.length === 0 && change.kind !== 'check')
      planned.push({ row, next: after(change, found) });
  }
  if (failed.length > 0) return { ok: false, failed };
  for (const { row, next } of planned) put(state, row, next);
  return { ok: true };
}

/** What stands in an item's place after a change whose guard holds; null for nothing. */
function after(change: Exclude<Change, { kind: 'check' }>, found: Item | null): Item | null {
  switch (change.kind) {
    case 'insert':
      return stored(change.item, 1);
    case 'replace':
      return stored(change.item, change.ifVersion + 1);
    case 'delete':
      return null;
    case 'add':
      return stored(sumsAdded(change, found), found?.version ?? 1);
    default: {
      const never: never = change;
      throw new TypeError(`unknown change ${JSON.stringify(never)}`);
    }
  }
}

function put(state: State, row: Row | undefined, next: Item | null): void {
  if (row === undefined) {
    if (next === null) return;
    const made: Row = { item: next, hasBytes: holdsBytes(next.data) };
    list(state, 'partition', made);
    for (const name of indexNames) list(state, name, made);
    return;
  }
  const before = row.item;
  const moved = indexNames.filter((name) => next === null || !isSamePlace(before, next, name));
  for (const name of moved) unlist(state, name, row);
  if (next === null) {
    unlist(state, 'partition', row);
    return;
  }
  row.item = next;
  row.hasBytes = holdsBytes(next.data);
  for (const name of moved) list(state, name, row);
}

function isSamePlace(before: Item, next: Item, name: IndexName): boolean {
  const [a, b] = [placeOf(before, name), placeOf(next, name)];
  return a?.indexPk === b?.indexPk && a?.indexSk === b?.indexSk;
}

/** Where an item stands in what queries `from` read; undefined when it is not listed there. */
function placeOf(item: Item, from: Query['from']): PagePosition | undefined {
  const { pk, sk, indexes } = item;
  if (from === 'partition') return { pk, sk, indexPk: pk, indexSk: sk };
  if (from === 'due') return indexes.due && { pk, sk, indexPk: indexes.due.pk, indexSk: indexes.due.at };
  const index = indexes[from];
  return index && { pk, sk, indexPk: index.pk, indexSk: index.sk };
}

function list(state: State, from: Query['from'], row: Row): void {
  const place = placeOf(row.item, from);
  if (place === undefined) return;
  const rows = state[from].get(place.indexPk);
  if (rows === undefined) state[from].set(place.indexPk, [[row]]);
  else insertAt(rows, row, before(from, place));
}

function unlist(state: State, from: Query['from'], row: Row): void {
  const place = placeOf(row.item, from);
  const rows = place && state[from].get(place.indexPk);
  if (place === undefined || rows === undefined) return;
  removeAt(rows, before(from, place));
  if (rows.length === 0) state[from].delete(place.indexPk);
}

/** Whether a row stands before a place. */
function before(from: Query['from'], place: PagePosition): (row: Row) => boolean {
  return ({ item }) => {
    const other = placeOf(item, from);
    return other !== undefined && compare(other, place) < 0;
  };
}

/** By sort key, then by key, as both engines of the product sort. */
function compare(a: PagePosition, b: PagePosition): number {
  return compareSortKeys(a.indexSk, b.indexSk) || compareTexts(a.pk, b.pk) || compareTexts(a.sk, b.sk);
}

function compareSortKeys(a: string | number, b: string | number): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return compareTexts(String(a), String(b));
}

/** In the order of UTF-8 bytes. UTF-16 code units sort alike, except that surrogates sort after all others in UTF-8. */
function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return inUtf8(x) - inUtf8(y);
  }
  return a.length - b.length;
}

const inUtf8 = (unit: number): number => (unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit);

function readPage(state: State, query: Query, options: QueryOptions): Page {
  assertQuery(query, options.limit);
  const start = options.cursor === null ? null : decodeCursor(options.cursor, query);
  const rows = state[query.from].get(query.pk) ?? [];
  const range = rangeOf(query);
  const items: Item[] = [];
  for (const row of options.descending
    ? downFrom(rows, atHighEnd(query, range, start))
    : upFrom(rows, atLowEnd(query, range, start))) {
    if (!isWithin(row.item, query, range)) break;
    items.push(given(row));
    if (items.length === options.limit) return { items, cursor: cursorAfter(items, query) };
  }
  return { items, cursor: null };
}

/** Both ends included; a high end of null is none. */
interface Range {
  readonly low: string | number;
  readonly high: string | number | null;
}

/** After every key. */
const lastText = '\u{10ffff}'.repeat(1024);

function rangeOf(query: Query): Range {
  switch (query.from) {
    case 'partition': {
      const prefix = query.prefix ?? '';
      return { low: prefix, high: prefix === '' ? null : prefix + lastText };
    }
    case 'due':
      return { low: -Number.MAX_VALUE, high: query.upTo };
    case 'sim':
    case 'time':
      return { low: query.between?.[0] ?? '', high: query.between?.[1] ?? null };
    default: {
      const never: never = query;
      throw new TypeError(`unknown query ${JSON.stringify(never)}`);
    }
  }
}

/** Holds for what stands before a page that goes up: up to its cursor, or below the range. */
function atLowEnd({ from, pk }: Query, { low }: Range, start: PagePosition | null): (row: Row) => boolean {
  if (start === null) return before(from, { indexPk: pk, indexSk: low, pk: '', sk: '' });
  const isBefore = before(from, start);
  return (row) => isBefore(row) || (row.item.pk === start.pk && row.item.sk === start.sk);
}

/** Holds for what may stand on a page that goes down: before its cursor, or up to the end of the range. */
function atHighEnd({ from, pk }: Query, { high }: Range, start: PagePosition | null): (row: Row) => boolean {
  if (start !== null) return before(from, start);
  return high === null
    ? () => true
    : before(from, { indexPk: pk, indexSk: high, pk: lastText, sk: lastText });
}

function isWithin(item: Item, { from }: Query, { low, high }: Range): boolean {
  const place = placeOf(item, from);
  if (place === undefined || compareSortKeys(place.indexSk, low) < 0) return false;
  return high === null || compareSortKeys(place.indexSk, high) <= 0;
}

function stored(item: NewItem, version: number): Item {
  const { pk, sk, indexes, expiresAtSec } = item;
  const { due, sim, time } = indexes;
  const places = {
    ...(due && { due: Object.freeze({ ...due }) }),
    ...(sim && { sim: Object.freeze({ ...sim }) }),
    ...(time && { time: Object.freeze({ ...time }) }),
  };
  return Object.freeze({
    pk,
    sk,
    version,
    data: copyOfMembers(item.data),
    indexes: Object.freeze(places),
    expiresAtSec,
  });
}

function holdsBytes(value: Value): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (value instanceof Uint8Array) return true;
  return isList(value) ? value.some(holdsBytes) : Object.values(value).some(holdsBytes);
}

/** A frozen copy as any storage in UTF-8 would give it back: half a surrogate pair becomes U+FFFD, -0 becomes 0. */
function copyOf(value: Value): Value {
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value === 'number') return value + 0;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (isList(value)) return Object.freeze(value.map(copyOf));
  return copyOfMembers(value);
}

function copyOfMembers(members: { readonly [name: string]: Value }): { readonly [name: string]: Value } {
  const copy: { [name: string]: Value } = {};
  for (const name in members) {
    const value = copyOf(members[name] ?? null);
    // Assigned, it would set the prototype.
    if (name === '__proto__') Object.defineProperty(copy, name, { value, enumerable: true });
    else copy[name.toWellFormed()] = value;
  }
  return Object.freeze(copy);
}
