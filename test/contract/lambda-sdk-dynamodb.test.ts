import { vi } from 'vitest';

/*
 * The table's whole contract once more, faults on the wire included, through the client that stands in for the SDK inside
 * the Lambda bundles. What only makes the table on an engine is not part of it, so it is given here.
 */
vi.mock('@aws-sdk/client-dynamodb', async () => {
  const { commandOf } = await import('../../infra/aws/lambda-sdk/aws-json-client.ts');
  return {
    ...(await import('../../infra/aws/lambda-sdk/dynamodb.ts')),
    CreateTableCommand: commandOf('CreateTable'),
    UpdateTimeToLiveCommand: commandOf('UpdateTimeToLive'),
    ResourceInUseException: {
      [Symbol.hasInstance]: (error: unknown) =>
        error instanceof Error && error.name === 'ResourceInUseException',
    },
    // DynamoDB Local has the table when it answers.
    waitUntilTableExists: async () => ({ state: 'SUCCESS' }),
  };
});

await import('./dynamo-table.test.ts');
