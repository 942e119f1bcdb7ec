import { setTimeout as sleep } from 'node:timers/promises';
import { readBundleFile } from '../../shared/lambda/bundle-file.ts';
import { type HttpLambdaResult, httpLambdaEventSchema } from '../../shared/lambda/http-event.ts';
import { systemClock } from '../../shared/platform/clock.ts';
import { readEnv } from '../../shared/platform/env.ts';
import { measuringLog, toStandardOutput } from '../../shared/platform/metrics.ts';
import { systemRandom } from '../../shared/platform/random.ts';
import { createSecretFetcher } from '../../shared/platform/secrets-manager-client.ts';
import { createSecretsManagerSource } from '../../shared/platform/secrets-manager-source.ts';
import { readReceivingStage } from '../../shared/policy/receiving-stage.ts';
import { callbackSides } from '../../shared/providers/registry.ts';
import { makeSqsClient } from '../../shared/queue/sqs-client.ts';
import { sqsWorkQueue } from '../../shared/queue/sqs-work-queue.ts';
import { makeDynamoClient } from '../../shared/store/dynamo-client.ts';
import { dynamoTable } from '../../shared/store/dynamo-table.ts';
import { openQuarantine } from '../../shared/store/quarantine-store.ts';
import { envSchema } from './env.ts';
import { type ReceiveDeps, receive } from './receive.ts';

/** A hint that takes longer is left to the sweep; the provider is waiting for its answer. */
const sendTimeoutMs = 1_500;

const env = readEnv('receive', envSchema, process.env);
const stage = readReceivingStage(readBundleFile('stage.json', import.meta.url));
const log = measuringLog(stage.name, systemClock, toStandardOutput);
const edges = { region: env.AWS_REGION, credentials: null };
const waits = { random: systemRandom, sleep: (ms: number) => sleep(ms) };

const table = dynamoTable({
  client: makeDynamoClient({ ...edges, endpoint: env.DYNAMODB_ENDPOINT ?? null }),
  tableName: env.TABLE_NAME,
  ...waits,
});

const deps: ReceiveDeps = {
  table,
  events: sqsWorkQueue({
    client: makeSqsClient({
      ...edges,
      endpoint: env.SQS_ENDPOINT ?? null,
      requestTimeoutMs: sendTimeoutMs,
    }),
    queueUrl: env.EVENTS_QUEUE_URL,
    waitSec: 0,
    tries: 1,
    ...waits,
  }),
  sides: callbackSides,
  providers: stage.providers,
  policy: stage.policy,
  secrets: createSecretsManagerSource({
    fetchSecret: createSecretFetcher({ region: env.AWS_REGION, endpoint: env.SECRETS_ENDPOINT ?? null }),
    secretIds: { callback: env.CALLBACK_SECRET_IDS },
    clock: systemClock,
  }),
  quarantine: openQuarantine(table),
  log,
};

/** Lambda's entry for the HTTP API. Never throws: what goes wrong is a 503, so that the provider tries again. */
export async function handler(lambdaEvent: unknown): Promise<HttpLambdaResult> {
  const request = httpLambdaEventSchema.safeParse(lambdaEvent);
  if (!request.success) {
    log('error', 'receive got no HTTP event of payload format 2.0', {
      problems: request.error.issues.length,
    });
    return unavailable;
  }
  try {
    return await receive(request.data, systemClock(), deps);
  } catch (error) {
    log('error', 'receive failed', {
      requestId: request.data.requestContext.requestId,
      code: error instanceof Error && 'code' in error ? String(error.code) : null,
      error: String(error),
    });
    return unavailable;
  }
}

const unavailable: HttpLambdaResult = { statusCode: 503, headers: { 'retry-after': '5' }, body: '' };
