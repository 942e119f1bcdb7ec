import { vi } from 'vitest';

/*
 * The queue's whole contract once more, faults on the wire included, through the client that stands in for the SDK inside
 * the Lambda bundles. Queues are made by the stack, so the command for that is given here.
 */
vi.mock('@aws-sdk/client-sqs', async () => {
  const { commandOf } = await import('../../infra/aws/lambda-sdk/aws-json-client.ts');
  return {
    ...(await import('../../infra/aws/lambda-sdk/sqs.ts')),
    CreateQueueCommand: commandOf('CreateQueue'),
  };
});

await import('./sqs-work-queue.test.ts');
