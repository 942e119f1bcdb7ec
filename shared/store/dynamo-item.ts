import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { z } from 'zod';
import { lazily } from '../core/lazily.ts';
import { StoreError } from './errors.ts';
import { isList } from './item-size.ts';
import { storedForm, unpack } from './packed-data.ts';
import { damageMember, type IndexKeys, type Item, type Key, type NewItem, type Value } from './table.ts';
import { attributeNames, dataPrefix, indexSchemas } from './table-schema.ts';

/** A row as the SDK reads and writes it. */
export type Attributes = Record<string, AttributeValue>;

/** A row with the marks of the writes that made it. */
export interface MarkedItem {
  readonly item: Item;
  readonly writeId: string | null;
  readonly addId: string | null;
}

const rowSchema = lazily(() =>
  z.object({
    pk: z.string(),
    sk: z.string(),
    version: z.number().int().min(1),
    expiresAt: z.number().int().nullish(),
    writeId: z.string().nullish(),
    addId: z.string().nullish(),
    packed: z.instanceof(Uint8Array).nullish(),
    duePk: z.string().nullish(),
    dueAt: z.number().nullish(),
    simPk: z.string().nullish(),
    simSk: z.string().nullish(),
    timePk: z.string().nullish(),
    timeSk: z.string().nullish(),
  }),
);

export function keyAttributes(key: Key): Attributes {
  return { [attributeNames.pk]: { S: key.pk }, [attributeNames.sk]: { S: key.sk } };
}

/** The whole row of an item. `writeId` marks it as ours. */
export function itemAttributes(item: NewItem, version: number, writeId: string): Attributes {
  const stored = storedForm(item);
  const data = Object.entries(stored.data).map(
    ([name, value]) => [dataPrefix + name.toWellFormed(), toAttribute(value)] as const,
  );
  return {
    ...Object.fromEntries(data),
    ...(stored.packed === null ? {} : { [attributeNames.packed]: { B: stored.packed } }),
    ...keyAttributes(item),
    ...indexAttributes(item.indexes),
    [attributeNames.version]: { N: String(version) },
    [attributeNames.writeId]: { S: writeId },
    ...(item.expiresAtSec === null ? {} : { [attributeNames.expiresAt]: { N: String(item.expiresAtSec) } }),
  };
}

function indexAttributes({ due, sim, time }: IndexKeys): Attributes {
  const { due: dueSchema, sim: simSchema, time: timeSchema } = indexSchemas;
  return {
    ...(due && {
      [dueSchema.partitionKey.name]: { S: due.pk },
      [dueSchema.sortKey.name]: { N: String(due.at) },
    }),
    ...(sim && { [simSchema.partitionKey.name]: { S: sim.pk }, [simSchema.sortKey.name]: { S: sim.sk } }),
    ...(time && {
      [timeSchema.partitionKey.name]: { S: time.pk },
      [timeSchema.sortKey.name]: { S: time.sk },
    }),
  };
}

/**
 * Throws StoreError `corrupt-item` for a row that this program can't have written. One whose data can't be unpacked says
 * so in its data.
 */
export function readAttributes(attributes: Attributes): MarkedItem {
  const where = `${attributes[attributeNames.pk]?.S} / ${attributes[attributeNames.sk]?.S}`;
  const values = Object.entries(attributes).map(
    ([name, value]) => [name, fromAttribute(value, where)] as const,
  );
  const parsed = rowSchema().safeParse(Object.fromEntries(values));
  if (!parsed.success) throw corruptItem(where, z.prettifyError(parsed.error));
  const row = parsed.data;
  const data = values
    .filter(([name]) => name.startsWith(dataPrefix))
    .map(([name, value]) => [name.slice(dataPrefix.length), value] as const);
  return {
    item: {
      pk: row.pk,
      sk: row.sk,
      version: row.version,
      data: {
        ...(row.packed == null ? {} : unpackOrTell(row.packed, where)),
        ...Object.fromEntries(data),
      },
      indexes: {
        ...(row.duePk != null && row.dueAt != null && { due: { pk: row.duePk, at: row.dueAt } }),
        ...(row.simPk != null && row.simSk != null && { sim: { pk: row.simPk, sk: row.simSk } }),
        ...(row.timePk != null && row.timeSk != null && { time: { pk: row.timePk, sk: row.timeSk } }),
      },
      expiresAtSec: row.expiresAt ?? null,
    },
    writeId: row.writeId ?? null,
    addId: row.addId ?? null,
  };
}

function unpackOrTell(packed: Uint8Array, where: string): Item['data'] {
  try {
    return unpack(packed, where);
  } catch (error) {
    if (error instanceof StoreError && error.code === 'corrupt-item')
      return { [damageMember]: error.message };
    throw error;
  }
}

function corruptItem(where: string, detail: string): StoreError {
  return new StoreError('corrupt-item', `the row ${where} cannot be read: ${detail}`);
}

/** Any storage in UTF-8 turns a lone surrogate into U+FFFD; doing it here keeps both engines alike. */
function toAttribute(value: Value): AttributeValue {
  if (typeof value === 'string') return { S: value.toWellFormed() };
  if (typeof value === 'number') return { N: String(value) };
  if (typeof value === 'boolean') return { BOOL: value };
  if (value === null) return { NULL: true };
  if (value instanceof Uint8Array) return { B: value };
  if (isList(value)) return { L: value.map(toAttribute) };
  const members = Object.entries(value).map(
    ([name, part]) => [name.toWellFormed(), toAttribute(part)] as const,
  );
  return { M: Object.fromEntries(members) };
}

function fromAttribute(value: AttributeValue, where: string): Value {
  if (value.S !== undefined) return value.S;
  if (value.N !== undefined) return Number(value.N);
  if (value.BOOL !== undefined) return value.BOOL;
  if (value.NULL !== undefined) return null;
  if (value.B !== undefined) return value.B;
  if (value.L !== undefined) return value.L.map((part) => fromAttribute(part, where));
  if (value.M !== undefined) {
    const members = Object.entries(value.M).map(
      ([name, part]) => [name, fromAttribute(part, where)] as const,
    );
    return Object.fromEntries(members);
  }
  throw corruptItem(
    where,
    `it holds an attribute of a kind that is never written: ${Object.keys(value).join()}`,
  );
}
