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
  IndexKeys,
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
 * `copied`: what is written is copied, and so is what is read, so that no caller can change what is stored. `shared`:
 * items are kept and handed out as they are. The copies are a quarter of deciding and acting; without them a bench must
 * show by other means that nobody changes an item (`frozenItems`).
 */
export type ItemsKept = 'copied' | 'shared';

/** The table as a program's own memory, without a database: for benches, and for tests that need many. */
export function memoryTable(itemsKept: ItemsKept = 'copied'): Table {
  const keep = itemsKept === 'copied' ? copyOfItem : sameItem;
  const state: State = { partition: new Map(), due: new Map(), sim: new Map(), time: new Map(), keep };
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
}

/** The rows of one partition (of the table or of an index). */
type Rows = SortedList<Row>;

/** By the name of what a query reads, then by partition. */
type State = Readonly<Record<Query['from'], Map<string, Rows>>> & { readonly keep: Keep };

/** The item as it is stored or handed out. */
type Keep = (item: NewItem, version: number) => Item;

const indexNames: readonly IndexName[] = ['due', 'sim', 'time'];

function read(state: State, key: Key): Item | null {
  const row = find(state, key);
  return row === undefined ? null : state.keep(row.item, row.item.version);
}

function find(state: State, key: Key): Row | undefined {
  const rows = state.partition.get(key.pk);
  if (rows === undefined) return undefined;
  const row = firstFrom(rows, before('partition', { indexSk: key.sk, pk: '', sk: '' }));
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
    if (!holds(change, found)) failed.push({ index, found: found && state.keep(found, found.version) });
    else if (failed.length === 0 && change.kind !== 'check')
      planned.push({ row, next: after(change, found, state.keep) });
  }
  if (failed.length > 0) return { ok: false, failed };
  for (const { row, next } of planned) put(state, row, next);
  return { ok: true };
}

/** What stands in an item's place after a change whose guard holds; null for nothing. */
function after(change: Exclude<Change, { kind: 'check' }>, found: Item | null, keep: Keep): Item | null {
  switch (change.kind) {
    case 'insert':
      return keep(change.item, 1);
    case 'replace':
      return keep(change.item, change.ifVersion + 1);
    case 'delete':
      return null;
    case 'add':
      return keep(sumsAdded(change, found), found?.version ?? 1);
    default: {
      const never: never = change;
      throw new TypeError(`unknown change ${JSON.stringify(never)}`);
    }
  }
}

function put(state: State, row: Row | undefined, next: Item | null): void {
  if (row === undefined) {
    if (next === null) return;
    const made: Row = { item: next };
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
  for (const name of moved) list(state, name, row);
}

function isSamePlace(before: Item, next: Item, name: IndexName): boolean {
  return (
    partitionOf(before, name) === partitionOf(next, name) && sortKeyOf(before, name) === sortKeyOf(next, name)
  );
}

/** The partition in which queries `from` find an item; undefined when it is not listed there. */
function partitionOf({ pk, indexes }: Item, from: Query['from']): string | undefined {
  return from === 'partition' ? pk : indexes[from]?.pk;
}

/** By what it is sorted there; its own sort key where it is not listed. */
function sortKeyOf({ sk, indexes }: Item, from: Query['from']): string | number {
  if (from === 'partition') return sk;
  return (from === 'due' ? indexes.due?.at : indexes[from]?.sk) ?? sk;
}

/** Where a row stands, to be found or put there. */
function beforeRow({ item }: Row, from: Query['from']): (row: Row) => boolean {
  return before(from, { pk: item.pk, sk: item.sk, indexSk: sortKeyOf(item, from) });
}

function list(state: State, from: Query['from'], row: Row): void {
  const partition = partitionOf(row.item, from);
  if (partition === undefined) return;
  const rows = state[from].get(partition);
  if (rows === undefined) state[from].set(partition, [[row]]);
  else insertAt(rows, row, beforeRow(row, from));
}

function unlist(state: State, from: Query['from'], row: Row): void {
  const partition = partitionOf(row.item, from);
  const rows = partition === undefined ? undefined : state[from].get(partition);
  if (partition === undefined || rows === undefined) return;
  removeAt(rows, beforeRow(row, from));
  if (rows.length === 0) state[from].delete(partition);
}

/** Whether a row stands before a place: by sort key, then by key, as both engines of the product sort. */
function before(from: Query['from'], place: Omit<PagePosition, 'indexPk'>): (row: Row) => boolean {
  return ({ item }) => {
    const order =
      compareSortKeys(sortKeyOf(item, from), place.indexSk) ||
      compareTexts(item.pk, place.pk) ||
      compareTexts(item.sk, place.sk);
    return order < 0;
  };
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
    items.push(state.keep(row.item, row.item.version));
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
function atLowEnd({ from }: Query, { low }: Range, start: PagePosition | null): (row: Row) => boolean {
  if (start === null) return before(from, { indexSk: low, pk: '', sk: '' });
  const isBefore = before(from, start);
  return (row) => isBefore(row) || (row.item.pk === start.pk && row.item.sk === start.sk);
}

/** Holds for what may stand on a page that goes down: before its cursor, or up to the end of the range. */
function atHighEnd({ from }: Query, { high }: Range, start: PagePosition | null): (row: Row) => boolean {
  if (start !== null) return before(from, start);
  return high === null ? () => true : before(from, { indexSk: high, pk: lastText, sk: lastText });
}

function isWithin(item: Item, { from }: Query, { low, high }: Range): boolean {
  const sortKey = sortKeyOf(item, from);
  return compareSortKeys(sortKey, low) >= 0 && (high === null || compareSortKeys(sortKey, high) <= 0);
}

function sameItem({ pk, sk, data, indexes, expiresAtSec }: NewItem, version: number): Item {
  return { pk, sk, version, data, indexes, expiresAtSec };
}

function copyOfItem({ pk, sk, data, indexes, expiresAtSec }: NewItem, version: number): Item {
  const { due, sim, time } = indexes;
  const places: IndexKeys = {
    ...(due && { due: { ...due } }),
    ...(sim && { sim: { ...sim } }),
    ...(time && { time: { ...time } }),
  };
  return { pk, sk, version, data: copyOfMembers(data), indexes: places, expiresAtSec };
}

/** As any storage in UTF-8 would give it back: half a surrogate pair becomes U+FFFD, -0 becomes 0. */
function copyOf(value: Value): Value {
  if (typeof value === 'string') return value.isWellFormed() ? value : value.toWellFormed();
  if (typeof value === 'number') return value + 0;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (isList(value)) return value.map(copyOf);
  return copyOfMembers(value);
}

/** A spread copies a member named `__proto__` as what it is; a copy made member by member would not. */
function copyOfMembers(members: { readonly [name: string]: Value }): { readonly [name: string]: Value } {
  const copy = { ...members };
  for (const name in copy) {
    const value = copy[name] ?? null;
    const copied = copyOf(value);
    if (copied !== value) copy[name] = copied;
  }
  return copy;
}
