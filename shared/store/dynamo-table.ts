import {
  CreateTableCommand,
  type DynamoDBClient,
  ResourceInUseException,
  UpdateTimeToLiveCommand,
  waitUntilTableExists,
} from '@aws-sdk/client-dynamodb';
import type { Random } from '../platform/random.ts';
import { assertKey, assertKeys } from './change-rules.ts';
import { queryDynamo } from './dynamo-query.ts';
import { readMany } from './dynamo-read.ts';
import { withRetries } from './dynamo-retry.ts';
import { type DynamoDeps, readMarked, writeToDynamo } from './dynamo-write.ts';
import type { Table } from './table.ts';
import { tableSchema } from './table-schema.ts';

export interface DynamoTableOptions {
  /** Made by `makeDynamoClient`: one try a call. Closed with the table. */
  readonly client: DynamoDBClient;
  readonly tableName: string;
  /** For marks, tokens and the jitter between tries. */
  readonly random: Random;
  readonly sleep: (ms: number) => Promise<void>;
}

/** The table on DynamoDB. Failures are those of `Table`. */
export function dynamoTable(options: DynamoTableOptions): Table {
  const { client, tableName, random, sleep } = options;
  const deps: DynamoDeps = { client, tableName, retry: { random, sleep } };
  return {
    get: async (key) => {
      assertKey(key);
      return (await withRetries(deps.retry, () => readMarked(deps, key)))?.item ?? null;
    },
    getMany: async (keys) => {
      assertKeys(keys);
      return readMany(deps, keys);
    },
    write: (changes) => writeToDynamo(deps, changes),
    query: (query, page) => queryDynamo(deps, query, page),
    close: async () => client.destroy(),
  };
}

const readyMaxSec = 30;

/**
 * Makes the table on a local engine, and leaves one that is there as it is. In AWS the stack makes it, from the same
 * description. Throws the SDK's error when the engine can't be reached or the table isn't ready within 30 s.
 */
export async function createDynamoTable(client: DynamoDBClient, tableName: string): Promise<void> {
  const { partitionKey, sortKey, indexes } = tableSchema;
  const keys = [partitionKey, sortKey, ...indexes.flatMap((index) => [index.partitionKey, index.sortKey])];
  try {
    await client.send(
      new CreateTableCommand({
        TableName: tableName,
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: keys.map(({ name, type }) => ({ AttributeName: name, AttributeType: type })),
        KeySchema: keySchema(partitionKey.name, sortKey.name),
        GlobalSecondaryIndexes: indexes.map((index) => ({
          IndexName: index.name,
          KeySchema: keySchema(index.partitionKey.name, index.sortKey.name),
          Projection: { ProjectionType: index.projection },
        })),
      }),
    );
  } catch (error) {
    if (error instanceof ResourceInUseException) return;
    throw error;
  }
  await waitUntilTableExists(
    { client, maxWaitTime: readyMaxSec, minDelay: 1, maxDelay: 2 },
    { TableName: tableName },
  );
  await client.send(
    new UpdateTimeToLiveCommand({
      TableName: tableName,
      TimeToLiveSpecification: { Enabled: true, AttributeName: tableSchema.timeToLiveAttribute },
    }),
  );
}

function keySchema(partitionName: string, sortName: string) {
  return [
    { AttributeName: partitionName, KeyType: 'HASH' as const },
    { AttributeName: sortName, KeyType: 'RANGE' as const },
  ];
}
