import { StoreError } from './errors.ts';
import { type IndexKeys, itemBytesMax, type NewItem, type Value } from './table.ts';
import { attributeNames, dataPrefix, indexSchemas } from './table-schema.ts';

/** Lists and maps inside each other. Source: DynamoDB developer guide, "Constraints": nesting up to 32 levels. */
export const nestingMax = 30;

/** Bytes of a number at most: DynamoDB keeps 38 digits. Source: DynamoDB developer guide, "Item sizes and formats". */
const numberBytesMax = 21;
/** Length of `writeId` and `addId`. */
export const markBytes = 16;
const containerBytes = 3;
const elementBytes = 1;
/** Magnitudes that DynamoDB can hold. Source: DynamoDB developer guide, "Data types", Number. */
const magnitudeMin = 1e-130;
const magnitudeMax = 9.9999999999999e125;

/**
 * Bytes of an item by DynamoDB's own rule, so that both engines refuse the same items. Throws TypeError or
 * RangeError for what is not a `Value`.
 *
 * Source: DynamoDB developer guide, "Item sizes and formats": names and strings in UTF-8, binary as it is, a number
 * about one byte per two digits and one more, null and boolean one byte, 3 bytes per list or map and one per element.
 */
export function itemBytes(item: NewItem): number {
  return sizeOf(item, exactly);
}

/**
 * Throws StoreError `item-too-large` when the item is above DynamoDB's 400 KB. Returns an upper bound of its bytes:
 * counting the UTF-8 of some forty texts exactly takes longer than making the item did, and few items need it.
 */
export function assertItemFits(item: NewItem): number {
  const bound = sizeOf(item, atMost);
  if (bound <= itemBytesMax) return bound;
  const bytes = itemBytes(item);
  if (bytes > itemBytesMax) {
    throw new StoreError(
      'item-too-large',
      `the item ${item.pk} / ${item.sk} has ${bytes} bytes, but an item may have ${itemBytesMax}; store less in it`,
    );
  }
  return bytes;
}

/** How the bytes of the two kinds of leaves are counted whose size is not plain to see. */
interface Measure {
  readonly text: (text: string) => number;
  readonly number: (value: number) => number;
}

const exactly: Measure = { text: (text) => Buffer.byteLength(text, 'utf8'), number: numberBytes };
/** A UTF-16 code unit takes at most three bytes in UTF-8: what takes four is two units. */
const atMost: Measure = { text: (text) => 3 * text.length, number: () => numberBytesMax };

function sizeOf(item: NewItem, measure: Measure): number {
  let bytes = fixedBytes + measure.text(item.pk) + measure.text(item.sk);
  if (item.expiresAtSec !== null) bytes += attributeNames.expiresAt.length + numberBytesMax;
  bytes += indexBytes(item.indexes, measure);
  for (const name in item.data) {
    bytes += dataPrefix.length + measure.text(name) + valueBytes(item.data[name], 1, measure);
  }
  return bytes;
}

/** Names and marks that every item has; all in ASCII. */
const fixedBytes =
  attributeNames.pk.length +
  attributeNames.sk.length +
  attributeNames.version.length +
  numberBytesMax +
  attributeNames.writeId.length +
  attributeNames.addId.length +
  2 * markBytes;

function indexBytes({ due, sim, time }: IndexKeys, { text }: Measure): number {
  let bytes = 0;
  if (due !== undefined) bytes += text(due.pk) + numberBytesMax + nameBytes('due');
  if (sim !== undefined) bytes += text(sim.pk) + text(sim.sk) + nameBytes('sim');
  if (time !== undefined) bytes += text(time.pk) + text(time.sk) + nameBytes('time');
  return bytes;
}

function nameBytes(index: keyof IndexKeys): number {
  const { partitionKey, sortKey } = indexSchemas[index];
  return partitionKey.name.length + sortKey.name.length;
}

function valueBytes(value: Value | undefined, depth: number, measure: Measure): number {
  if (typeof value === 'string') return measure.text(value);
  if (typeof value === 'number') return measure.number(finite(value));
  if (typeof value === 'boolean' || value === null) return 1;
  if (value instanceof Uint8Array) return value.byteLength;
  if (depth > nestingMax) throw new RangeError(`a stored value is nested deeper than ${nestingMax} levels`);
  let bytes = containerBytes;
  if (Array.isArray(value)) {
    for (const part of value) bytes += elementBytes + valueBytes(part, depth + 1, measure);
    return bytes;
  }
  const members = plainObject(value);
  // `for in` takes a tenth of the time of Object.entries, and a plain object inherits nothing that it would list.
  for (const name in members) {
    bytes += elementBytes + measure.text(name) + valueBytes(members[name], depth + 1, measure);
  }
  return bytes;
}

/** `Array.isArray` doesn't narrow read-only arrays. */
export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

function finite(value: number): number {
  const magnitude = Math.abs(value);
  if (!Number.isFinite(value) || magnitude > magnitudeMax || (value !== 0 && magnitude < magnitudeMin)) {
    throw new RangeError(`a stored number must be finite and between 1e-130 and 1e+126, but was ${value}`);
  }
  return value;
}

function numberBytes(value: number): number {
  const digits = digitsOf(Math.abs(value));
  return Math.min(numberBytesMax, Math.ceil(digits / 2) + 1 + (value < 0 ? 1 : 0));
}

function digitsOf(magnitude: number): number {
  // Nearly all stored numbers are moments, counts and amounts: whole, so their text is their digits.
  if (Number.isSafeInteger(magnitude)) return magnitude === 0 ? 0 : String(magnitude).length;
  return String(magnitude).replace(/e.*$/, '').replace('.', '').replace(/^0+/, '').length;
}

/** A Date, Map, function or undefined would be stored as something else than it is, so it is refused. */
function plainObject(value: Value | undefined): { readonly [name: string]: Value } {
  if (isPlainObject(value)) return value;
  throw new TypeError(
    `a stored value must be text, number, boolean, null, bytes, a list or a plain object, but was ${typeof value} ${Object.prototype.toString.call(value)}`,
  );
}

function isPlainObject(value: unknown): value is { readonly [name: string]: Value } {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
