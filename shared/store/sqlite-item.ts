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

const noIssues = new z.ZodError([]);

/** What the schema says, by hand: rows are read by the dozen for each purchase. */
function isItemRow(row: unknown): row is ItemRow {
  if (typeof row !== 'object' || row === null) return false;
  return (
    'pk' in row &&
    typeof row.pk === 'string' &&
    'sk' in row &&
    typeof row.sk === 'string' &&
    'version' in row &&
    Number.isSafeInteger(row.version) &&
    Number(row.version) >= 1 &&
    'data' in row &&
    typeof row.data === 'string' &&
    'due_pk' in row &&
    isTextOrNull(row.due_pk) &&
    'due_at' in row &&
    (row.due_at === null || typeof row.due_at === 'number') &&
    'sim_pk' in row &&
    isTextOrNull(row.sim_pk) &&
    'sim_sk' in row &&
    isTextOrNull(row.sim_sk) &&
    'time_pk' in row &&
    isTextOrNull(row.time_pk) &&
    'time_sk' in row &&
    isTextOrNull(row.time_sk) &&
    'expires_at' in row &&
    (row.expires_at === null || Number.isSafeInteger(row.expires_at))
  );
}

function isTextOrNull(value: unknown): boolean {
  return value === null || typeof value === 'string';
}

/** Throws StoreError `corrupt-item` for a row that this program can't have written. */
export function fromRow(row: unknown, key: Key | null): Item {
  if (!isItemRow(row))
    throw corruptItem(key, z.prettifyError(itemRowSchema.safeParse(row).error ?? noIssues));
  const { pk, sk, version, due_pk, due_at, sim_pk, sim_sk, time_pk, time_sk } = row;
  return {
    pk,
    sk,
    version,
    data: readData(row),
    indexes: {
      ...(due_pk === null || due_at === null ? {} : { due: { pk: due_pk, at: due_at } }),
      ...(sim_pk === null || sim_sk === null ? {} : { sim: { pk: sim_pk, sk: sim_sk } }),
      ...(time_pk === null || time_sk === null ? {} : { time: { pk: time_pk, sk: time_sk } }),
    },
    expiresAtSec: row.expires_at,
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
