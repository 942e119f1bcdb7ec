import { setTimeout as sleep } from 'node:timers/promises';
import { readBundleFile } from '../../shared/lambda/bundle-file.ts';
import type { QueueLambdaResult } from '../../shared/lambda/queue-event.ts';
import { handleWorkBatch } from '../../shared/lambda/work-batch.ts';
import { systemClock } from '../../shared/platform/clock.ts';
import { readEnv } from '../../shared/platform/env.ts';
import { measuringLog, toStandardOutput } from '../../shared/platform/metrics.ts';
import { systemRandom } from '../../shared/platform/random.ts';
import { readDeployedStage } from '../../shared/policy/deployed-stage.ts';
import { providers } from '../../shared/providers/registry.ts';
import { makeSqsClient } from '../../shared/queue/sqs-client.ts';
import { sqsWorkQueue } from '../../shared/queue/sqs-work-queue.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import { makeDynamoClient } from '../../shared/store/dynamo-client.ts';
import { dynamoTable } from '../../shared/store/dynamo-table.ts';
import { type DecideDeps, decideEvent } from './decide.ts';
import { envSchema } from './env.ts';

const sendTimeoutMs = 3_000;

const env = readEnv('decide', envSchema, process.env);
const stage = readDeployedStage(readBundleFile('stage.json', import.meta.url), providers);
const log = measuringLog(stage.name, systemClock, toStandardOutput);
const edges = { region: env.AWS_REGION, credentials: null };
const waits = { random: systemRandom, sleep: (ms: number) => sleep(ms) };
const sqs = makeSqsClient({ ...edges, endpoint: env.SQS_ENDPOINT ?? null, requestTimeoutMs: sendTimeoutMs });
const open = (queueUrl: string): WorkQueue => sqsWorkQueue({ client: sqs, queueUrl, waitSec: 0, ...waits });
const queues: ReadonlyMap<string, WorkQueue> = new Map(
  Object.entries(env.ACTIONS_QUEUE_URLS).map(([provider, queueUrl]) => [provider, open(queueUrl)]),
);

const deps: DecideDeps = {
  table: dynamoTable({
    client: makeDynamoClient({ ...edges, endpoint: env.DYNAMODB_ENDPOINT ?? null }),
    tableName: env.TABLE_NAME,
    ...waits,
  }),
  policy: stage.policy,
  events: open(env.EVENTS_QUEUE_URL),
  actionsQueue: (provider) => queues.get(provider) ?? null,
  log,
};

/** Lambda's entry for the events queue. */
export async function handler(lambdaEvent: unknown): Promise<QueueLambdaResult> {
  const work = async (eventId: string): Promise<void> => {
    await decideEvent(eventId, systemClock(), deps, { replay: false, generation: 1 });
  };
  return handleWorkBatch(lambdaEvent, { kind: 'event', atOnce: false, log, work });
}
