import { z } from 'zod';
import { StoreError } from './errors.ts';
import { isList } from './item-size.ts';
import type { Item, Key, NewItem, Value } from './table.ts';

/** Marks bytes inside the JSON text; a member of that name in the data gets one more `$` in front. */
const bytesMember = '$bytes';
const escapable = /^\$+bytes$/;

type StoredValue =
  | string
  | number
  | boolean
  | null
  | readonly StoredValue[]
  | { readonly [k: string]: StoredValue };

/** One row of the table `items`; the columns are bound and read by these names. */
export const itemRowSchema = z.object({
  pk: z.string(),
  sk: z.string(),
  version: z.number().int().min(1),
  data: z.string(),
  due_pk: z.string().nullable(),
  due_at: z.number().nullable(),
  sim_pk: z.string().nullable(),
  sim_sk: z.string().nullable(),
  time_pk: z.string().nullable(),
  time_sk: z.string().nullable(),
  expires_at: z.number().int().nullable(),
});
export type ItemRow = z.infer<typeof itemRowSchema>;

export function toRow(item: NewItem, version: number): ItemRow {
  const { due, sim, time } = item.indexes;
  return {
    pk: item.pk,
    sk: item.sk,
    version,
    data: JSON.stringify(storeMembers(item.data)),
    due_pk: due?.pk ?? null,
    due_at: due?.at ?? null,
    sim_pk: sim?.pk ?? null,
    sim_sk: sim?.sk ?? null,
    time_pk: time?.pk ?? null,
    time_sk: time?.sk ?? null,
    expires_at: item.expiresAtSec,
  };
}

/** Throws StoreError `corrupt-item` for a row that this program can't have written. */
export function fromRow(row: unknown, key: Key | null): Item {
  const parsed = itemRowSchema.safeParse(row);
  if (!parsed.success) throw corruptItem(key, z.prettifyError(parsed.error));
  const { pk, sk, version, due_pk, due_at, sim_pk, sim_sk, time_pk, time_sk } = parsed.data;
  return {
    pk,
    sk,
    version,
    data: parseData(parsed.data),
    indexes: {
      ...(due_pk === null || due_at === null ? {} : { due: { pk: due_pk, at: due_at } }),
      ...(sim_pk === null || sim_sk === null ? {} : { sim: { pk: sim_pk, sk: sim_sk } }),
      ...(time_pk === null || time_sk === null ? {} : { time: { pk: time_pk, sk: time_sk } }),
    },
    expiresAtSec: parsed.data.expires_at,
  };
}

function parseData(row: ItemRow): { readonly [attribute: string]: Value } {
  let json: unknown;
  try {
    json = JSON.parse(row.data);
  } catch (cause) {
    throw corruptItem(row, 'its data is not JSON', cause);
  }
  // Bytes are rare; only a row that may hold them pays for the walk.
  const value = row.data.includes('bytes"') ? loadValue(json, row) : json;
  if (!isMembers(value)) throw corruptItem(row, 'its data is not an object');
  return value;
}

function corruptItem(key: Key | null, detail: string, cause?: unknown): StoreError {
  const where = key === null ? 'a row' : `the row ${key.pk} / ${key.sk}`;
  return new StoreError('corrupt-item', `${where} cannot be read: ${detail}`, { cause });
}

function storeValue(value: Value): StoredValue {
  // Any storage in UTF-8 turns a lone surrogate into U+FFFD; doing it here keeps both engines alike.
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
  if (value instanceof Uint8Array) return { [bytesMember]: toBase64(value) };
  if (isList(value)) return value.map(storeValue);
  return storeMembers(value);
}

function storeMembers(members: { readonly [key: string]: Value }): { readonly [key: string]: StoredValue } {
  return Object.fromEntries(
    Object.entries(members).map(([name, value]) => {
      const stored = name.toWellFormed();
      return [escapable.test(stored) ? `$${stored}` : stored, storeValue(value)];
    }),
  );
}

function loadValue(value: unknown, key: Key): Value {
  if (typeof value === 'string' || typeof value === 'number') return value;
  if (typeof value === 'boolean' || value === null) return value;
  if (Array.isArray(value)) return value.map((part) => loadValue(part, key));
  if (typeof value !== 'object') throw corruptItem(key, `it holds a ${typeof value}`);
  const entries = Object.entries(value);
  const first = entries[0];
  if (first !== undefined && first[0] === bytesMember) {
    if (entries.length !== 1 || typeof first[1] !== 'string')
      throw corruptItem(key, 'its bytes are not text');
    return Uint8Array.from(Buffer.from(first[1], 'base64'));
  }
  return Object.fromEntries(
    entries.map(([name, part]) => [escapable.test(name) ? name.slice(1) : name, loadValue(part, key)]),
  );
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** What `JSON.parse` gives for an object is made of Values only. */
function isMembers(value: unknown): value is { readonly [key: string]: Value } {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}
