import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { StoreError } from './errors.ts';
import { itemBytes } from './item-size.ts';
import { dictionary1 } from './packing-dictionary.ts';
import { type BytesAsJson, parseData, printData } from './stored-json.ts';
import type { Item, NewItem } from './table.ts';
import { attributeNames } from './table-schema.ts';

/** How DynamoDB keeps an item's data: as attributes that anyone can read, or packed where that is cheaper. */
export interface StoredForm {
  /** What stands in attributes of its own. */
  readonly data: Item['data'];
  /** The rest, packed; null when nothing is. */
  readonly packed: Uint8Array | null;
  /** Bytes of the item in this form; DynamoDB's own count is at most that. */
  readonly bytes: number;
}

/** DynamoDB charges a write by the started KB. Source: Amazon DynamoDB pricing, write request unit. */
const unitBytes = 1_024;

const dictionaryNumber = 1;
const dictionaries: ReadonlyMap<number, Buffer> = new Map([[dictionaryNumber, Buffer.from(dictionary1)]]);

/** What a packed value may unpack to: far above an item's 400 KB, so that only damage comes up against it. */
const unpackedBytesMax = 8 * 1024 * 1024;

/**
 * Packs an item's data when that saves a write unit: a row of 1,100 bytes costs twice as much as one of 1,000, in each
 * write of its life. A row that is small anyway stays readable in the console, and so do keys and index keys always.
 * Top-level numbers are never packed, because counters are added to where they stand.
 */
export function storedForm(item: NewItem): StoredForm {
  const bytes = itemBytes(item);
  if (bytes <= unitBytes) return { data: item.data, packed: null, bytes };
  const members = Object.entries(item.data);
  const numbers = Object.fromEntries(members.filter(([, value]) => typeof value === 'number'));
  const others = Object.fromEntries(members.filter(([, value]) => typeof value !== 'number'));
  const packed = pack(others);
  const packedBytes =
    itemBytes({ ...item, data: numbers }) + attributeNames.packed.length + packed.byteLength;
  const isCheaper = Math.ceil(packedBytes / unitBytes) < Math.ceil(bytes / unitBytes);
  return isCheaper ? { data: numbers, packed, bytes: packedBytes } : { data: item.data, packed: null, bytes };
}

/** One byte that numbers the dictionary, then deflated: the data as JSON, a zero byte, and the bytes that it holds. */
function pack(data: Item['data']): Uint8Array {
  const parts: Uint8Array[] = [];
  const inOrder: BytesAsJson = {
    put: (bytes) => {
      parts.push(bytes);
      return bytes.byteLength;
    },
    take: () => null,
  };
  // JSON text never holds a zero byte itself: it is written as \u0000 there.
  const text = Buffer.from(`${printData(data, inOrder)}\0`, 'utf8');
  const dictionary = dictionaries.get(dictionaryNumber);
  const deflated = deflateRawSync(Buffer.concat([text, ...parts]), { ...(dictionary && { dictionary }) });
  return Buffer.concat([Uint8Array.of(dictionaryNumber), deflated]);
}

/** Throws StoreError `corrupt-item`, with `where`, for bytes that `storedForm` can't have made. */
export function unpack(packed: Uint8Array, where: string): Item['data'] {
  const dictionary = dictionaries.get(packed[0] ?? 0);
  if (dictionary === undefined) {
    const known = [...dictionaries.keys()].join(', ');
    throw corrupt(
      where,
      `it is packed with dictionary ${packed[0]}, this version knows ${known}; run the newer version`,
    );
  }
  try {
    const plain = inflateRawSync(packed.subarray(1), { dictionary, maxOutputLength: unpackedBytesMax });
    const end = plain.indexOf(0);
    if (end < 0) throw new TypeError('its packed data has no end');
    return parseData(plain.toString('utf8', 0, end), takenFrom(plain, end + 1));
  } catch (cause) {
    throw corrupt(where, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** Hands out the bytes in the order in which they were put: the JSON text holds their lengths in that order. */
function takenFrom(plain: Buffer, start: number): BytesAsJson {
  let at = start;
  return {
    put: () => 0,
    take: (stored) => {
      if (typeof stored !== 'number' || !Number.isInteger(stored) || stored < 0) return null;
      if (at + stored > plain.byteLength) return null;
      at += stored;
      return Uint8Array.from(plain.subarray(at - stored, at));
    },
  };
}

function corrupt(where: string, detail: string, cause?: unknown): StoreError {
  return new StoreError('corrupt-item', `the row ${where} cannot be read: ${detail}`, { cause });
}
