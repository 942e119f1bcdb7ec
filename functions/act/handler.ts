import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { durationMs } from '../../shared/core/time.ts';
import { readBundleFile } from '../../shared/lambda/bundle-file.ts';
import type { QueueLambdaResult } from '../../shared/lambda/queue-event.ts';
import { handleWorkBatch } from '../../shared/lambda/work-batch.ts';
import { systemClock } from '../../shared/platform/clock.ts';
import { readEnv } from '../../shared/platform/env.ts';
import { measuringLog, toStandardOutput } from '../../shared/platform/metrics.ts';
import { systemRandom } from '../../shared/platform/random.ts';
import { createSecretFetcher } from '../../shared/platform/secrets-manager-client.ts';
import { createSecretsManagerSource } from '../../shared/platform/secrets-manager-source.ts';
import { takeTurns } from '../../shared/platform/turns.ts';
import { readDeployedStage } from '../../shared/policy/deployed-stage.ts';
import type { Stage, StageProvider } from '../../shared/policy/stage.ts';
import { findProvider, providers } from '../../shared/providers/registry.ts';
import { makeSqsClient } from '../../shared/queue/sqs-client.ts';
import { sqsWorkQueue } from '../../shared/queue/sqs-work-queue.ts';
import { accountGate } from '../../shared/store/account-gate.ts';
import { makeDynamoClient } from '../../shared/store/dynamo-client.ts';
import { dynamoTable } from '../../shared/store/dynamo-table.ts';
import { act } from './act.ts';
import type { ActDeps } from './act-deps.ts';
import { envSchema } from './env.ts';

const sendTimeoutMs = 3_000;

const env = readEnv('act', envSchema, process.env);
const stage = readDeployedStage(readBundleFile('stage.json', import.meta.url), providers);
const log = measuringLog(stage.name, systemClock, toStandardOutput);
const edges = { region: env.AWS_REGION, credentials: null };
const clocks = { clock: systemClock, random: systemRandom };
const waits = { random: systemRandom, sleep: (ms: number) => sleep(ms) };

const account = accountOf(stage);
const inTurn = takeTurns();
const table = dynamoTable({
  client: makeDynamoClient({ ...edges, endpoint: env.DYNAMODB_ENDPOINT ?? null }),
  tableName: env.TABLE_NAME,
  ...waits,
});
const secrets = createSecretsManagerSource({
  fetchSecret: createSecretFetcher({ region: env.AWS_REGION, endpoint: env.SECRETS_ENDPOINT ?? null }),
  secretIds: { api: { [env.PROVIDER]: env.API_SECRET_ID } },
  clock: systemClock,
});

const deps: Omit<ActDeps, 'timeLeft'> = {
  table,
  client: openClient(account),
  profile: account.profile,
  limits: account.limits,
  policy: stage.policy,
  actions: sqsWorkQueue({
    client: makeSqsClient({ ...edges, endpoint: env.SQS_ENDPOINT ?? null, requestTimeoutMs: sendTimeoutMs }),
    queueUrl: env.ACTIONS_QUEUE_URL,
    waitSec: 0,
    ...waits,
  }),
  lease: { duration: durationMs(env.LEASE_MS), startWithin: durationMs(env.START_WITHIN_MS) },
  ...clocks,
  inTurn,
  log,
};

const contextSchema = z.object({ getRemainingTimeInMillis: z.function({ input: [], output: z.number() }) });

/** Lambda's entry for one provider's actions queue. */
export async function handler(lambdaEvent: unknown, lambdaContext: unknown): Promise<QueueLambdaResult> {
  const { getRemainingTimeInMillis } = contextSchema.parse(lambdaContext);
  const timeLeft = () => durationMs(Math.max(0, getRemainingTimeInMillis()));
  const work = (actionId: string) => act(actionId, { ...deps, timeLeft });
  return handleWorkBatch(lambdaEvent, { kind: 'action', atOnce: true, log, work });
}

function accountOf({ name, providers: stageProviders }: Stage): StageProvider {
  const found = stageProviders.find(({ id }) => id === env.PROVIDER);
  if (found !== undefined) return found;
  throw new Error(
    `act: the stage ${name} has no provider "${env.PROVIDER}"; deploy stage and functions together`,
  );
}

function openClient({ id, settings, currency, limits, profile }: StageProvider): ActDeps['client'] {
  const provider = findProvider(id);
  if (provider === null) throw new Error(`act: there is no provider "${id}"`);
  const gate = accountGate(table, { limits, profile }, clocks);
  return provider.createClient({
    settings,
    currency,
    apiSecrets: async () => (await secrets.read(id, 'api')).keys,
    now: systemClock,
    random: systemRandom,
    callTimeout: profile.callTimeout,
    admit: () => inTurn(gate),
  });
}
