import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { Random } from '../platform/random.ts';
import { assertKey, assertKeys } from './change-rules.ts';
import { queryDynamo } from './dynamo-query.ts';
import { readMany } from './dynamo-read.ts';
import { withRetries } from './dynamo-retry.ts';
import { type DynamoDeps, readMarked, writeToDynamo } from './dynamo-write.ts';
import type { Table } from './table.ts';

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
