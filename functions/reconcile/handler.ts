import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { durationMs } from '../../shared/core/time.ts';
import { readBundleFile } from '../../shared/lambda/bundle-file.ts';
import { scheduleLambdaEventSchema } from '../../shared/lambda/schedule-event.ts';
import { systemClock } from '../../shared/platform/clock.ts';
import { readEnv } from '../../shared/platform/env.ts';
import { jsonLog } from '../../shared/platform/log.ts';
import { emfMetrics, toStandardOutput } from '../../shared/platform/metrics.ts';
import { systemRandom } from '../../shared/platform/random.ts';
import { createSecretFetcher } from '../../shared/platform/secrets-manager-client.ts';
import { createSecretsManagerSource } from '../../shared/platform/secrets-manager-source.ts';
import { readDeployedStage } from '../../shared/policy/deployed-stage.ts';
import type { StageProvider } from '../../shared/policy/stage.ts';
import { findProvider, providers } from '../../shared/providers/registry.ts';
import { makeSqsClient } from '../../shared/queue/sqs-client.ts';
import { sqsWorkQueue } from '../../shared/queue/sqs-work-queue.ts';
import { accountGate } from '../../shared/store/account-gate.ts';
import { makeDynamoClient } from '../../shared/store/dynamo-client.ts';
import { dynamoTable } from '../../shared/store/dynamo-table.ts';
import { envSchema } from './env.ts';
import { reconcileFigures } from './metrics.ts';
import { type ReconcileDeps, type ReconciledProvider, type ReconcileResult, reconcile } from './reconcile.ts';

const sendTimeoutMs = 3_000;

const env = readEnv('reconcile', envSchema, process.env);
const stage = readDeployedStage(readBundleFile('stage.json', import.meta.url), providers);
const metrics = emfMetrics(stage.name, toStandardOutput);
const edges = { region: env.AWS_REGION, credentials: null };
const clocks = { clock: systemClock, random: systemRandom };
const waits = { random: systemRandom, sleep: (ms: number) => sleep(ms) };

const table = dynamoTable({
  client: makeDynamoClient({ ...edges, endpoint: env.DYNAMODB_ENDPOINT ?? null }),
  tableName: env.TABLE_NAME,
  ...waits,
});
const secrets = createSecretsManagerSource({
  fetchSecret: createSecretFetcher({ region: env.AWS_REGION, endpoint: env.SECRETS_ENDPOINT ?? null }),
  secretIds: { api: env.API_SECRET_IDS },
  clock: systemClock,
});

const deps: Omit<ReconcileDeps, 'timeLeft'> = {
  table,
  events: sqsWorkQueue({
    client: makeSqsClient({ ...edges, endpoint: env.SQS_ENDPOINT ?? null, requestTimeoutMs: sendTimeoutMs }),
    queueUrl: env.EVENTS_QUEUE_URL,
    waitSec: 0,
    ...waits,
  }),
  policy: stage.policy,
  // Those alone whose secret this function may read: the stack runs one function per provider.
  providers: stage.providers.filter(({ id }) => Object.hasOwn(env.API_SECRET_IDS, id)).map(openProvider),
  wait: (span) => sleep(span),
  log: jsonLog,
};

const contextSchema = z.object({ getRemainingTimeInMillis: z.function({ input: [], output: z.number() }) });

/** Lambda's entry for the schedule. Throws after it has logged, so that the run counts as failed. */
export async function handler(lambdaEvent: unknown, lambdaContext: unknown): Promise<ReconcileResult> {
  const { scheduledAt } = scheduleLambdaEventSchema.parse(lambdaEvent);
  const { getRemainingTimeInMillis } = contextSchema.parse(lambdaContext);
  const timeLeft = () => durationMs(Math.max(0, getRemainingTimeInMillis()));
  const now = systemClock();
  try {
    const result = await reconcile(now, { ...deps, timeLeft });
    for (const line of reconcileFigures(result, now)) metrics(line);
    return result;
  } catch (error) {
    jsonLog('error', 'reconcile failed', { scheduledAt, error: String(error) });
    throw error;
  }
}

function openProvider({ id, settings, currency, limits, profile }: StageProvider): ReconciledProvider {
  const provider = findProvider(id);
  if (provider === null) throw new Error(`reconcile: there is no provider "${id}"`);
  const client = provider.createClient({
    settings,
    currency,
    apiSecrets: async () => (await secrets.read(id, 'api')).keys,
    now: systemClock,
    random: systemRandom,
    callTimeout: profile.callTimeout,
    admit: accountGate(table, { limits, profile }, clocks),
  });
  return { id, client, profile };
}
