import { makeSqsClient } from '../../shared/queue/sqs-client.ts';
import { sqsWorkQueue } from '../../shared/queue/sqs-work-queue.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import { makeDynamoClient } from '../../shared/store/dynamo-client.ts';
import { dynamoTable } from '../../shared/store/dynamo-table.ts';
import { credentialsFor } from './aws-access.ts';
import { type Connection, type Deployed, type OpenStage, tellUnreadable } from './connect.ts';
import type { OpsWorld } from './world.ts';

/** How long one call to SQS may take. */
const sqsTimeoutMs = 10_000;

/** Opens a deployed stage's engines. Nothing is asked of them before a command does. */
export function connectDeployed(
  deployed: Deployed,
  parts: OpenStage & { readonly world: OpsWorld },
): Connection {
  const { stage, secrets, world } = parts;
  const { region, endpoint, sqsEndpoint } = deployed;
  const { random, sleep } = world;
  const client = makeDynamoClient({ region, endpoint, credentials: credentialsFor(endpoint) });
  const open = (urls: ReadonlyMap<string, string>): ReadonlyMap<string, WorkQueue> =>
    new Map(
      [...urls].map(([name, queueUrl]) => {
        const sqs = makeSqsClient({
          region,
          endpoint: sqsEndpoint,
          credentials: credentialsFor(sqsEndpoint),
          requestTimeoutMs: sqsTimeoutMs,
        });
        return [name, sqsWorkQueue({ client: sqs, queueUrl, waitSec: 0, random, sleep })];
      }),
    );
  const queues = open(deployed.queues);
  const deadLetters = open(deployed.deadLetters);
  const table = dynamoTable({ client, tableName: deployed.table, random, sleep });
  return {
    label: `the table ${deployed.table} in ${region}`,
    table,
    queues,
    deadLetters,
    stage,
    secrets,
    onUnreadable: tellUnreadable(world),
    close: async () => {
      await Promise.all([...queues.values(), ...deadLetters.values()].map((queue) => queue.close()));
      await table.close();
    },
  };
}
