import { setTimeout as sleep } from 'node:timers/promises';
import { scheduleLambdaEventSchema } from '../../shared/lambda/schedule-event.ts';
import { systemClock } from '../../shared/platform/clock.ts';
import { readEnv } from '../../shared/platform/env.ts';
import { jsonLog } from '../../shared/platform/log.ts';
import { emfMetrics, toStandardOutput } from '../../shared/platform/metrics.ts';
import { systemRandom } from '../../shared/platform/random.ts';
import { makeSqsClient } from '../../shared/queue/sqs-client.ts';
import { sqsWorkQueue } from '../../shared/queue/sqs-work-queue.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import { findDueActions, longestWait } from '../../shared/store/due-work.ts';
import { makeDynamoClient } from '../../shared/store/dynamo-client.ts';
import { dynamoTable } from '../../shared/store/dynamo-table.ts';
import { envSchema } from './env.ts';
import { type SweepDeps, type SweepResult, sweep } from './sweep.ts';
import { watchSilence } from './watch-silence.ts';

const sendTimeoutMs = 3_000;

const env = readEnv('sweep', envSchema, process.env);
const metrics = emfMetrics(env.STAGE_NAME, toStandardOutput);
const edges = { region: env.AWS_REGION, credentials: null };
const waits = { random: systemRandom, sleep: (ms: number) => sleep(ms) };
const sqs = makeSqsClient({ ...edges, endpoint: env.SQS_ENDPOINT ?? null, requestTimeoutMs: sendTimeoutMs });
const open = (queueUrl: string): WorkQueue => sqsWorkQueue({ client: sqs, queueUrl, waitSec: 0, ...waits });

const deps: SweepDeps = {
  table: dynamoTable({
    client: makeDynamoClient({ ...edges, endpoint: env.DYNAMODB_ENDPOINT ?? null }),
    tableName: env.TABLE_NAME,
    ...waits,
  }),
  events: open(env.EVENTS_QUEUE_URL),
  actions: new Map(
    Object.entries(env.ACTIONS_QUEUE_URLS).map(([provider, queueUrl]) => [provider, open(queueUrl)]),
  ),
  log: jsonLog,
};

/** Lambda's entry for the schedule. Throws after it has logged, so that the run counts as failed. */
export async function handler(lambdaEvent: unknown): Promise<SweepResult> {
  const { scheduledAt } = scheduleLambdaEventSchema.parse(lambdaEvent);
  const now = systemClock();
  try {
    const result = await sweep(now, deps);
    const orphans = await countOrphans(now);
    const held = await longestWait(deps.table, 'held', now);
    const silent = await watchSilence(now, { ...deps, providers: [...deps.actions.keys()] });
    metrics({
      at: now,
      dimensions: {},
      values: [
        { name: 'Sweeps', value: 1, unit: 'Count' },
        { name: 'OldestDueWork', value: result.oldestMs, unit: 'Milliseconds' },
        { name: 'OrphanedActions', value: orphans, unit: 'Count' },
        { name: 'OldestHeld', value: held, unit: 'Milliseconds' },
        { name: 'SilentProviders', value: silent.length, unit: 'Count' },
      ],
    });
    return result;
  } catch (error) {
    jsonLog('error', 'sweep failed', { scheduledAt, error: String(error) });
    throw error;
  }
}

/** Open actions of providers that the stage does not have any more: nobody works on them until it has them again. */
async function countOrphans(now: ReturnType<typeof systemClock>): Promise<number> {
  let orphans = 0;
  for (const provider of env.ABSENT_PROVIDERS) {
    // One that can't be read is open work of nobody, too, and the sweep's own log does not name it.
    const due = await findDueActions(deps.table, provider, now, 4, (error, { pk, sk }) =>
      jsonLog('error', 'due row not readable, its work stands still', {
        key: `${pk} ${sk}`,
        error: error.message,
      }),
    );
    orphans += due.length;
    const [first] = due;
    if (first !== undefined) {
      jsonLog('error', 'open actions of a provider that the stage does not have', {
        provider,
        actionId: first.id,
        correlationId: first.correlationId,
      });
    }
  }
  return orphans;
}
