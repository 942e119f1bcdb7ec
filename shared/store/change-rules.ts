import { StoreError } from './errors.ts';
import { assertItemFits, itemBytes } from './item-size.ts';
import {
  type Addition,
  type Change,
  changesMax,
  type Item,
  type Key,
  type NewItem,
  type Query,
} from './table.ts';

/** Source: DynamoDB developer guide, "Constraints": partition key values up to 2048 bytes. */
const partitionKeyBytesMax = 2048;
/** Source: DynamoDB developer guide, "Constraints": sort key values up to 1024 bytes. */
export const sortKeyBytesMax = 1024;
/** All items of one write together. Source: DynamoDB API reference, TransactWriteItems: up to 4 MB. */
export const writeBytesMax = 4 * 1024 * 1024;
/** Counters of one `add`. */
const additionsMax = 8;
/** Keys in one read. Source: DynamoDB API reference, BatchGetItem: up to 100 items. */
export const keysMax = 100;
/** Items in one page of a query. */
export const pageItemsMax = 1000;

/** The key of the item that a change is about. */
export function keyOf(change: Change): Key {
  return change.kind === 'insert' || change.kind === 'replace' ? change.item : change.key;
}

/** One text per key; no two keys share it. */
export function keyText(key: Key): string {
  return `${key.pk.length}:${key.pk}${key.sk}`;
}

/**
 * Holds both engines to one set of rules before anything is written. Throws RangeError or TypeError for a fault of
 * the caller, StoreError `item-too-large` for an item above 400 KB or changes above 4 MB together.
 */
export function assertChanges(changes: readonly Change[]): void {
  if (changes.length < 1 || changes.length > changesMax) {
    throw new RangeError(`a write takes 1 to ${changesMax} changes, but got ${changes.length}`);
  }
  let bytesAtMost = 0;
  for (const change of changes) {
    assertKey(keyOf(change));
    bytesAtMost += assertChange(change);
  }
  if (changes.length > 1) assertDistinct(changes);
  const bytes = bytesAtMost <= writeBytesMax ? bytesAtMost : exactBytes(changes);
  if (bytes > writeBytesMax) {
    throw new StoreError(
      'item-too-large',
      `the ${changes.length} changes have ${bytes} bytes together, but one write may have ${writeBytesMax}; split it`,
    );
  }
}

function assertDistinct(changes: readonly Change[]): void {
  const seen = new Set<string>();
  for (const change of changes) {
    const key = keyOf(change);
    const text = keyText(key);
    if (seen.has(text)) {
      throw new RangeError(`a write changes each item once, but ${key.pk} / ${key.sk} is named twice`);
    }
    seen.add(text);
  }
}

function exactBytes(changes: readonly Change[]): number {
  return changes.reduce((sum, change) => sum + ('item' in change ? itemBytes(change.item) : 0), 0);
}

/** Returns an upper bound of the bytes that the change writes. */
function assertChange(change: Change): number {
  switch (change.kind) {
    case 'insert':
      assertItem(change.item);
      return assertItemFits(change.item);
    case 'replace':
      assertVersion(change.ifVersion);
      assertItem(change.item);
      return assertItemFits(change.item);
    case 'check':
      if (change.ifVersion !== null) assertVersion(change.ifVersion);
      return 0;
    case 'delete':
      assertVersion(change.ifVersion);
      return 0;
    case 'add':
      assertAdditions(change.adds);
      return 0;
    default: {
      const never: never = change;
      throw new TypeError(`unknown change ${JSON.stringify(never)}`);
    }
  }
}

function assertAdditions(adds: readonly Addition[]): void {
  if (adds.length < 1 || adds.length > additionsMax) {
    throw new RangeError(`an add has 1 to ${additionsMax} counters, but got ${adds.length}`);
  }
  if (new Set(adds.map(({ attribute }) => attribute)).size !== adds.length) {
    throw new RangeError(
      `an add names each counter once: ${adds.map(({ attribute }) => attribute).join(', ')}`,
    );
  }
  for (const { attribute, delta, atMost } of adds) {
    if (attribute === '') throw new RangeError('the name of a counter must not be empty');
    // DynamoDB adds in decimal and JavaScript in binary; they agree on whole numbers only.
    assertWhole('delta', delta);
    if (atMost !== null) assertWhole('atMost', atMost);
  }
}

/** Throws RangeError for an empty, too long or ill-formed key. */
export function assertKey(key: Key): void {
  assertKeyText('pk', key.pk, partitionKeyBytesMax);
  assertKeyText('sk', key.sk, sortKeyBytesMax);
}

function assertItem(item: NewItem): void {
  const { due, sim, time } = item.indexes;
  if (due !== undefined) {
    assertKeyText('due.pk', due.pk, partitionKeyBytesMax);
    if (!Number.isFinite(due.at)) throw new RangeError(`due.at must be a finite number, but was ${due.at}`);
  }
  if (sim !== undefined) {
    assertKeyText('sim.pk', sim.pk, partitionKeyBytesMax);
    assertKeyText('sim.sk', sim.sk, sortKeyBytesMax);
  }
  if (time !== undefined) {
    assertKeyText('time.pk', time.pk, partitionKeyBytesMax);
    assertKeyText('time.sk', time.sk, sortKeyBytesMax);
  }
  if (item.expiresAtSec !== null) assertWhole('expiresAtSec', item.expiresAtSec);
}

function assertKeyText(name: string, text: string, bytesMax: number): void {
  // A UTF-16 code unit takes at most three bytes in UTF-8, so keys as short as ours need no counting.
  const bytes = 3 * text.length <= bytesMax ? text.length : Buffer.byteLength(text, 'utf8');
  if (bytes < 1 || bytes > bytesMax) {
    throw new RangeError(`${name} must have 1 to ${bytesMax} bytes, but has ${bytes}`);
  }
  // A lone surrogate becomes U+FFFD on the wire, so two different keys would name one item.
  if (!text.isWellFormed())
    throw new RangeError(`${name} must be well-formed Unicode: ${JSON.stringify(text)}`);
}

function assertVersion(version: number): void {
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new RangeError(`ifVersion must be a whole number of at least 1, but was ${version}`);
  }
}

function assertWhole(name: string, value: number): void {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${name} must be a whole number, but was ${value}`);
}

/** Throws RangeError when a read asks for too many keys at once. */
export function assertKeys(keys: readonly Key[]): void {
  if (keys.length > keysMax)
    throw new RangeError(`getMany takes at most ${keysMax} keys, but got ${keys.length}`);
  for (const key of keys) assertKey(key);
}

/** Throws RangeError for a page size outside of 1 to 1000, or for bounds that no key can have. */
export function assertQuery(query: Query, limit: number): void {
  assertKeyText('the pk of a query', query.pk, partitionKeyBytesMax);
  if (query.from === 'due' && !Number.isFinite(query.upTo)) {
    throw new RangeError(`upTo must be a finite number, but was ${query.upTo}`);
  }
  if ((query.from === 'sim' || query.from === 'time') && query.between !== undefined) {
    assertKeyText('the lower bound of a query', query.between[0], sortKeyBytesMax);
    assertKeyText('the upper bound of a query', query.between[1], sortKeyBytesMax);
  }
  if (!Number.isInteger(limit) || limit < 1 || limit > pageItemsMax) {
    throw new RangeError(`a page holds 1 to ${pageItemsMax} items, but ${limit} were asked for`);
  }
}

/** Whether the guard of a change holds on what stands in its place. Throws StoreError as `sumsAdded` does. */
export function holds(change: Change, found: Item | null): boolean {
  switch (change.kind) {
    case 'insert':
      return found === null;
    case 'replace':
    case 'delete':
      return found?.version === change.ifVersion;
    case 'check':
      return (found?.version ?? null) === change.ifVersion;
    case 'add':
      return change.adds.every(
        ({ attribute, delta, atMost }) => atMost === null || numberAt(found, attribute) + delta <= atMost,
      );
    default: {
      const never: never = change;
      throw new TypeError(`unknown change ${JSON.stringify(never)}`);
    }
  }
}

export type Add = Extract<Change, { readonly kind: 'add' }>;

/** The item as an `add` leaves it. Throws StoreError `corrupt-item` where a counter is not a number. */
export function sumsAdded(change: Add, found: Item | null): NewItem {
  const sums = change.adds.map(
    ({ attribute, delta }) => [attribute, numberAt(found, attribute) + delta] as const,
  );
  const data = Object.fromEntries([...Object.entries(found?.data ?? {}), ...sums]);
  return found === null ? { ...change.key, data, indexes: {}, expiresAtSec: null } : { ...found, data };
}

function numberAt(found: Item | null, attribute: string): number {
  const value = found !== null && Object.hasOwn(found.data, attribute) ? found.data[attribute] : 0;
  if (typeof value === 'number') return value;
  throw new StoreError(
    'corrupt-item',
    `the attribute ${attribute} of ${found?.pk} / ${found?.sk} is not a number, so nothing can be added to it`,
  );
}
