import type { IndexName } from './table.ts';

/** Names of the attributes that every row has or may have, in both engines. */
export const attributeNames = {
  pk: 'pk',
  sk: 'sk',
  version: 'version',
  expiresAt: 'expiresAt',
  /** DynamoDB only: names the write that put the row there, so that a write whose reply was lost knows its own. */
  writeId: 'writeId',
  /** DynamoDB only: the same for the last `add`. */
  addId: 'addId',
  /** DynamoDB only: what of the data is packed (packed-data.ts). */
  packed: 'packed',
} as const;

/**
 * Prefix of the row attributes that hold the members of `Item.data`. They stand at the top level, because DynamoDB
 * adds to a top-level number only. Source: DynamoDB developer guide, "Update expressions", ADD.
 */
export const dataPrefix = 'd_';

export interface IndexSchema {
  readonly name: IndexName;
  readonly partitionKey: { readonly name: string; readonly type: 'S' };
  readonly sortKey: { readonly name: string; readonly type: 'S' | 'N' };
  readonly projection: 'KEYS_ONLY';
}

/**
 * The three sparse indexes. They hold keys only: copying whole items would store every raw body four times and pay
 * four times for each write. The table reads the items themselves after it has read an index.
 */
export const indexSchemas: Readonly<Record<IndexName, IndexSchema>> = {
  due: {
    name: 'due',
    partitionKey: { name: 'duePk', type: 'S' },
    sortKey: { name: 'dueAt', type: 'N' },
    projection: 'KEYS_ONLY',
  },
  sim: {
    name: 'sim',
    partitionKey: { name: 'simPk', type: 'S' },
    sortKey: { name: 'simSk', type: 'S' },
    projection: 'KEYS_ONLY',
  },
  time: {
    name: 'time',
    partitionKey: { name: 'timePk', type: 'S' },
    sortKey: { name: 'timeSk', type: 'S' },
    projection: 'KEYS_ONLY',
  },
};

/** Keys, indexes and expiry of the table: what CDK makes in AWS and `createDynamoTable` makes on a local engine. */
export const tableSchema = {
  partitionKey: { name: attributeNames.pk, type: 'S' },
  sortKey: { name: attributeNames.sk, type: 'S' },
  timeToLiveAttribute: attributeNames.expiresAt,
  indexes: [indexSchemas.due, indexSchemas.sim, indexSchemas.time],
} as const;
