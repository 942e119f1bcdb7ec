import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { durationMs } from '../../shared/core/time.ts';
import { readBundleFile } from '../../shared/lambda/bundle-file.ts';
import type { QueueLambdaResult } from '../../shared/lambda/queue-event.ts';
import { handleWorkBatch } from '../../shared/lambda/work-batch.ts';
import { systemClock } from '../../shared/platform/clock.ts';
import { readEnv } from '../../shared/platform/env.ts';
import { jsonLog } from '../../shared/platform/log.ts';
import { emfMetrics, toStandardOutput } from '../../shared/platform/metrics.ts';
import { systemRandom } from '../../shared/platform/random.ts';
import { createSecretFetcher } from '../../shared/platform/secrets-manager-client.ts';
import { createSecretsManagerSource } from '../../shared/platform/secrets-manager-source.ts';
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
import { actFigures } from './metrics.ts';

const sendTimeoutMs = 3_000;

const env = readEnv('act', envSchema, process.env);
const stage = readDeployedStage(readBundleFile('stage.json', import.meta.url), providers);
const metrics = emfMetrics(stage.name, toStandardOutput);
const edges = { region: env.AWS_REGION, credentials: null };
const clocks = { clock: systemClock, random: systemRandom };
const waits = { random: systemRandom, sleep: (ms: number) => sleep(ms) };

const account = accountOf(stage);
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
  log: jsonLog,
  notice: (action, what) => {
    for (const line of actFigures(action, what, systemClock())) metrics(line);
  },
};

const contextSchema = z.object({ getRemainingTimeInMillis: z.function({ input: [], output: z.number() }) });

/** Lambda's entry for one provider's actions queue. */
export async function handler(lambdaEvent: unknown, lambdaContext: unknown): Promise<QueueLambdaResult> {
  const { getRemainingTimeInMillis } = contextSchema.parse(lambdaContext);
  const timeLeft = () => durationMs(Math.max(0, getRemainingTimeInMillis()));
  return handleWorkBatch(lambdaEvent, 'action', jsonLog, (actionId) => act(actionId, { ...deps, timeLeft }));
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
  return provider.createClient({
    settings,
    currency,
    apiSecrets: async () => (await secrets.read(id, 'api')).keys,
    now: systemClock,
    random: systemRandom,
    callTimeout: profile.callTimeout,
    admit: accountGate(table, { limits, profile }, clocks),
  });
}
