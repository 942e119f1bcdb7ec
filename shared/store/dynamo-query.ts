import { QueryCommand, type QueryCommandInput } from '@aws-sdk/client-dynamodb';
import { z } from 'zod';
import { lazily } from '../core/lazily.ts';
import { assertQuery, keysMax } from './change-rules.ts';
import { type Attributes, keyAttributes, readAttributes } from './dynamo-item.ts';
import { readMany } from './dynamo-read.ts';
import { withRetries } from './dynamo-retry.ts';
import type { DynamoDeps } from './dynamo-write.ts';
import { decodeCursor, encodeCursor, type PagePosition, positionOf } from './page-cursor.ts';
import type { Item, Key, Page, Query, QueryOptions } from './table.ts';
import { attributeNames, indexSchemas } from './table-schema.ts';

const listedKeySchema = lazily(() =>
  z.object({
    [attributeNames.pk]: z.object({ S: z.string() }),
    [attributeNames.sk]: z.object({ S: z.string() }),
  }),
);

const emptyPage: Page = { items: [], cursor: null };

/**
 * A partition is read as it is. An index holds keys only, so the items that it lists are then read from the table,
 * strongly consistent; those that are gone or no longer belong to the query are left out, so that an index that lags
 * behind can show less than there is, but nothing that isn't so.
 */
export async function queryDynamo(deps: DynamoDeps, query: Query, options: QueryOptions): Promise<Page> {
  assertQuery(query, options.limit);
  if (isEmptyRange(query)) return emptyPage;
  const start = options.cursor === null ? null : decodeCursor(options.cursor, query);
  const input: QueryCommandInput = {
    TableName: deps.tableName,
    Limit: options.limit,
    ScanIndexForward: !(options.descending ?? false),
    ...rangeOf(query),
    ...(start === null ? {} : { ExclusiveStartKey: startKey(query, start) }),
  };
  const found = await withRetries(deps.retry, () => deps.client.send(new QueryCommand(input)));
  const rows = found.Items ?? [];
  const items =
    query.from === 'partition'
      ? rows.map((row) => readAttributes(row).item)
      : await listed(deps, query, rows);
  return {
    items: options.descending === true && query.from !== 'partition' ? items.toReversed() : items,
    cursor: found.LastEvaluatedKey === undefined ? null : encodeCursor(endOf(query, found.LastEvaluatedKey)),
  };
}

/** DynamoDB calls it an error when the lower bound lies above the upper one; there is simply nothing between. */
function isEmptyRange(query: Query): boolean {
  if (query.from !== 'sim' && query.from !== 'time') return false;
  return query.between !== undefined && compareText(query.between[0], query.between[1]) > 0;
}

function rangeOf(query: Query) {
  const { partitionName, sortName } = keyNames(query);
  const names: Record<string, string> = { '#p': partitionName };
  const values: Attributes = { ':p': { S: query.pk } };
  const conditions = ['#p = :p'];
  if (query.from === 'partition' && query.prefix !== undefined && query.prefix !== '') {
    conditions.push('begins_with(#s, :low)');
    values[':low'] = { S: query.prefix };
  } else if (query.from === 'due') {
    conditions.push('#s <= :high');
    values[':high'] = { N: String(query.upTo) };
  } else if (query.from !== 'partition' && query.between !== undefined) {
    conditions.push('#s BETWEEN :low AND :high');
    values[':low'] = { S: query.between[0] };
    values[':high'] = { S: query.between[1] };
  }
  if (conditions.length > 1) names['#s'] = sortName;
  return {
    ...(query.from === 'partition' ? { ConsistentRead: true } : { IndexName: query.from }),
    KeyConditionExpression: conditions.join(' AND '),
    ExpressionAttributeNames: names,
    ExpressionAttributeValues: values,
  };
}

function keyNames(query: Query): { readonly partitionName: string; readonly sortName: string } {
  if (query.from === 'partition') return { partitionName: attributeNames.pk, sortName: attributeNames.sk };
  const { partitionKey, sortKey } = indexSchemas[query.from];
  return { partitionName: partitionKey.name, sortName: sortKey.name };
}

/** In ascending order of where the items stand now, which may differ from where the index listed them. */
async function listed(deps: DynamoDeps, query: Query, rows: readonly Attributes[]): Promise<readonly Item[]> {
  const keys = rows.map(keyOfRow);
  const items: Item[] = [];
  for (let from = 0; from < keys.length; from += keysMax) {
    const found = await readMany(deps, keys.slice(from, from + keysMax));
    items.push(...found.filter((item) => item !== null).filter((item) => belongs(item, query)));
  }
  return items.toSorted((a, b) => comparePositions(positionOf(a, query), positionOf(b, query)));
}

function keyOfRow(row: Attributes): Key {
  const { pk, sk } = listedKeySchema().parse(row);
  return { pk: pk.S, sk: sk.S };
}

function belongs(item: Item, query: Query): boolean {
  const position = positionOf(item, query);
  if (position === null || position.indexPk !== query.pk) return false;
  switch (query.from) {
    case 'due':
      return Number(position.indexSk) <= query.upTo;
    case 'sim':
    case 'time': {
      if (query.between === undefined) return true;
      const sortKey = String(position.indexSk);
      return compareText(query.between[0], sortKey) <= 0 && compareText(sortKey, query.between[1]) <= 0;
    }
    case 'partition':
      return true;
    default: {
      const never: never = query;
      throw new TypeError(`unknown query ${JSON.stringify(never)}`);
    }
  }
}

function comparePositions(a: PagePosition | null, b: PagePosition | null): number {
  if (a === null || b === null) return 0;
  if (typeof a.indexSk === 'number' && typeof b.indexSk === 'number') return a.indexSk - b.indexSk;
  return compareText(String(a.indexSk), String(b.indexSk));
}

/** DynamoDB's order of text: by UTF-8 bytes, which JavaScript's own order is not. */
function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}

function startKey(query: Query, { pk, sk, indexPk, indexSk }: PagePosition): Attributes {
  if (query.from === 'partition') return keyAttributes({ pk, sk });
  const { partitionName, sortName } = keyNames(query);
  return {
    ...keyAttributes({ pk, sk }),
    [partitionName]: { S: indexPk },
    [sortName]: typeof indexSk === 'number' ? { N: String(indexSk) } : { S: indexSk },
  };
}

function endOf(query: Query, key: Attributes): PagePosition {
  const { pk, sk } = keyOfRow(key);
  if (query.from === 'partition') return { pk, sk, indexPk: pk, indexSk: sk };
  const { sortName } = keyNames(query);
  const sort = key[sortName];
  const indexSk = sort?.N === undefined ? sort?.S : Number(sort.N);
  if (indexSk === undefined) throw new Error(`DynamoDB ended a page of ${query.from} without ${sortName}`);
  return { pk, sk, indexPk: query.pk, indexSk };
}
