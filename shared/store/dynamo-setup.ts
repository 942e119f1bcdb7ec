import {
  CreateTableCommand,
  type DynamoDBClient,
  ResourceInUseException,
  UpdateTimeToLiveCommand,
  waitUntilTableExists,
} from '@aws-sdk/client-dynamodb';
import { tableSchema } from './table-schema.ts';

const readyMaxSec = 30;

/** A local engine that has just started may take longer for its first call than a call may take. */
const triesMax = 5;

/**
 * Makes the table on a local engine, and leaves one that is there as it is. In AWS the stack makes it, from the same
 * description. Throws the SDK's error when the engine can't be reached or the table isn't ready within 30 s.
 */
export async function createDynamoTable(client: DynamoDBClient, tableName: string): Promise<void> {
  const { partitionKey, sortKey, indexes } = tableSchema;
  const keys = [partitionKey, sortKey, ...indexes.flatMap((index) => [index.partitionKey, index.sortKey])];
  const command = new CreateTableCommand({
    TableName: tableName,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: keys.map(({ name, type }) => ({ AttributeName: name, AttributeType: type })),
    KeySchema: keySchema(partitionKey.name, sortKey.name),
    GlobalSecondaryIndexes: indexes.map((index) => ({
      IndexName: index.name,
      KeySchema: keySchema(index.partitionKey.name, index.sortKey.name),
      Projection: { ProjectionType: index.projection },
    })),
  });
  if ((await makeOnce(() => client.send(command))) === 'was there') return;
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

/** Repeats a call that timed out; a table that is there then is the one that it made. */
async function makeOnce(send: () => Promise<unknown>): Promise<'made' | 'was there'> {
  for (let attempt = 1; ; attempt++) {
    try {
      await send();
      return 'made';
    } catch (error) {
      if (error instanceof ResourceInUseException) return attempt === 1 ? 'was there' : 'made';
      if (!(error instanceof Error) || error.name !== 'TimeoutError' || attempt >= triesMax) throw error;
    }
  }
}

function keySchema(partitionName: string, sortName: string) {
  return [
    { AttributeName: partitionName, KeyType: 'HASH' as const },
    { AttributeName: sortName, KeyType: 'RANGE' as const },
  ];
}
