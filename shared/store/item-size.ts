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
  let bytes = stringBytes(attributeNames.pk) + stringBytes(item.pk);
  bytes += stringBytes(attributeNames.sk) + stringBytes(item.sk);
  bytes += stringBytes(attributeNames.version) + numberBytesMax;
  bytes += stringBytes(attributeNames.writeId) + stringBytes(attributeNames.addId) + 2 * markBytes;
  if (item.expiresAtSec !== null) bytes += stringBytes(attributeNames.expiresAt) + numberBytesMax;
  bytes += indexBytes(item.indexes);
  for (const [name, value] of Object.entries(item.data)) {
    bytes += dataPrefix.length + stringBytes(name) + valueBytes(value, 1);
  }
  return bytes;
}

/** Throws StoreError `item-too-large` when the item is above DynamoDB's 400 KB. Returns its bytes. */
export function assertItemFits(item: NewItem): number {
  const bytes = itemBytes(item);
  if (bytes > itemBytesMax) {
    throw new StoreError(
      'item-too-large',
      `the item ${item.pk} / ${item.sk} has ${bytes} bytes, but an item may have ${itemBytesMax}; store less in it`,
    );
  }
  return bytes;
}

function indexBytes(indexes: IndexKeys): number {
  let bytes = 0;
  const { due, sim, time } = indexes;
  if (due !== undefined) {
    bytes += stringBytes(due.pk) + numberBytesMax + nameBytes('due');
  }
  if (sim !== undefined) bytes += stringBytes(sim.pk) + stringBytes(sim.sk) + nameBytes('sim');
  if (time !== undefined) bytes += stringBytes(time.pk) + stringBytes(time.sk) + nameBytes('time');
  return bytes;
}

function nameBytes(index: keyof IndexKeys): number {
  const { partitionKey, sortKey } = indexSchemas[index];
  return partitionKey.name.length + sortKey.name.length;
}

function stringBytes(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

function valueBytes(value: Value, depth: number): number {
  if (typeof value === 'string') return stringBytes(value);
  if (typeof value === 'number') return numberBytes(value);
  if (typeof value === 'boolean' || value === null) return 1;
  if (value instanceof Uint8Array) return value.byteLength;
  if (depth > nestingMax) throw new RangeError(`a stored value is nested deeper than ${nestingMax} levels`);
  if (isList(value)) {
    return value.reduce<number>(
      (sum, part) => sum + elementBytes + valueBytes(part, depth + 1),
      containerBytes,
    );
  }
  assertPlainObject(value);
  let bytes = containerBytes;
  for (const [name, part] of Object.entries(value)) {
    bytes += elementBytes + stringBytes(name) + valueBytes(part, depth + 1);
  }
  return bytes;
}

/** `Array.isArray` doesn't narrow read-only arrays. */
export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

function numberBytes(value: number): number {
  const magnitude = Math.abs(value);
  if (!Number.isFinite(value) || magnitude > magnitudeMax || (value !== 0 && magnitude < magnitudeMin)) {
    throw new RangeError(`a stored number must be finite and between 1e-130 and 1e+126, but was ${value}`);
  }
  const digits = digitsOf(magnitude);
  return Math.min(numberBytesMax, Math.ceil(digits / 2) + 1 + (value < 0 ? 1 : 0));
}

function digitsOf(magnitude: number): number {
  // Nearly all stored numbers are moments, counts and amounts: whole, so their text is their digits.
  if (Number.isSafeInteger(magnitude)) return magnitude === 0 ? 0 : String(magnitude).length;
  return String(magnitude).replace(/e.*$/, '').replace('.', '').replace(/^0+/, '').length;
}

/** A Date, Map, function or undefined would be stored as something else than it is, so it is refused. */
function assertPlainObject(value: unknown): void {
  const prototype: unknown =
    typeof value === 'object' && value !== null ? Object.getPrototypeOf(value) : value;
  if (prototype === null || prototype === Object.prototype) return;
  throw new TypeError(
    `a stored value must be text, number, boolean, null, bytes, a list or a plain object, but was ${typeof value} ${Object.prototype.toString.call(value)}`,
  );
}
