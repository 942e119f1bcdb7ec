import { z } from 'zod';
import { StoreError } from './errors.ts';
import { type BytesAsJson, parseData, printData } from './stored-json.ts';
import type { Item, Key, NewItem } from './table.ts';

const base64: BytesAsJson = {
  put: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
  take: (stored) => (typeof stored === 'string' ? Uint8Array.from(Buffer.from(stored, 'base64')) : null),
};

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
    data: printData(item.data, base64),
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
    data: readData(parsed.data),
    indexes: {
      ...(due_pk === null || due_at === null ? {} : { due: { pk: due_pk, at: due_at } }),
      ...(sim_pk === null || sim_sk === null ? {} : { sim: { pk: sim_pk, sk: sim_sk } }),
      ...(time_pk === null || time_sk === null ? {} : { time: { pk: time_pk, sk: time_sk } }),
    },
    expiresAtSec: parsed.data.expires_at,
  };
}

function readData(row: ItemRow): Item['data'] {
  try {
    return parseData(row.data, base64);
  } catch (cause) {
    const detail = cause instanceof TypeError ? cause.message : 'its data is not JSON';
    throw corruptItem(row, detail, cause);
  }
}

function corruptItem(key: Key | null, detail: string, cause?: unknown): StoreError {
  const where = key === null ? 'a row' : `the row ${key.pk} / ${key.sk}`;
  return new StoreError('corrupt-item', `${where} cannot be read: ${detail}`, { cause });
}
