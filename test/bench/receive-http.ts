import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { CreateTableCommand } from '@aws-sdk/client-dynamodb';
import { Pool } from 'undici';
import { z } from 'zod';
import {
  createSqsQueue,
  dynamoDbLocalProblem,
  engineAccess,
  startDynamoDbLocal,
  startSqs,
} from '../../infra/local/wire-engines.ts';
import { makeDynamoClient } from '../../shared/store/dynamo-client.ts';
import { createDynamoTable } from '../../shared/store/dynamo-setup.ts';
import { startSecretsEndpoint } from '../infra/recording-proxy.ts';
import { simulatorDefaults } from '../provider-simulator/simulator.ts';
import { startFaultyProxy } from '../support/faulty-proxy.ts';
import { type BuiltBundle, buildAll } from './built-bundles.ts';
import { alertBody, callbackPath } from './http-requests.ts';
import { median } from './measure.ts';
import { type Bench, type BenchReport, round } from './report.ts';

const tables = { simhook: 'simhook', events: 'events', idempotency: 'idempotency' } as const;
const about =
  'One signed callback over HTTP to the answer: the built bundles, each in a process of its own behind the same HTTP front, on ' +
  "DynamoDB Local and fauxqs. CPU is that of the receiver's process, front included; the clock is mostly the engines'. simhook " +
  'also writes its log and metric lines, three index keys and the raw message.';
const header = [
  'contender',
  'CPU µs, new',
  'CPU µs, duplicate',
  'CPU / hand-written',
  'callbacks/s, new',
  'AWS calls, new',
  'AWS calls, duplicate',
];

/** Requests under way at once, as a provider that sends a burst would. */
const connections = 8;

/** simhook's deployed bundle, the Powertools build and a hand-written handler on the SDK, end to end. */
export const receiveHttpBench: Bench = async ({ quick }) => {
  const problem = dynamoDbLocalProblem();
  if (problem !== null) return { about, header, rows: [], notes: [`not run: ${problem}`] };
  const world = await openWorld();
  try {
    return await compare(world, quick ? { rounds: 2, requests: 40 } : { rounds: 7, requests: 400 });
  } finally {
    await world.close();
  }
};

interface World {
  readonly bundles: readonly BuiltBundle[];
  readonly start: (bundle: BuiltBundle, endpoints: Endpoints) => Promise<Receiver>;
  readonly engines: Endpoints;
  close(): Promise<void>;
}

interface Endpoints {
  readonly dynamodb: string;
  readonly sqs: string;
}

async function openWorld(): Promise<World> {
  const [dynamodb, sqs] = await Promise.all([startDynamoDbLocal(), startSqs()]);
  const secrets = await startSecretsEndpoint(new Map([['eiotclub', secretText]]));
  const built = await buildAll();
  const settings = { visibilitySec: 60, receivesMax: 5, retentionSec: 86_400 };
  const { queueUrl } = await createSqsQueue(sqs, 'events', settings);
  await makeTables(dynamodb.endpoint);
  const started: Receiver[] = [];
  const start: World['start'] = async (bundle, endpoints) => {
    const receiver = await startReceiver(bundle, environmentOf(endpoints, secrets.endpoint, queueUrl));
    started.push(receiver);
    return receiver;
  };
  return {
    bundles: [built.handWritten, ...built.functions.slice(0, 1), built.powertools],
    start,
    engines: { dynamodb: dynamodb.endpoint, sqs: sqs.endpoint },
    close: async () => {
      await Promise.all(started.map((receiver) => receiver.stop()));
      built.remove();
      await Promise.all([secrets.stop(), dynamodb.stop(), sqs.stop()]);
    },
  };
}

const secretText = JSON.stringify({
  keys: [{ keyId: null, value: simulatorDefaults.eiotclub.callbackSecret }],
  pathToken: null,
});

async function makeTables(endpoint: string): Promise<void> {
  const client = makeDynamoClient({ ...engineAccess, endpoint });
  await createDynamoTable(client, tables.simhook);
  for (const TableName of [tables.events, tables.idempotency]) {
    await client.send(
      new CreateTableCommand({
        TableName,
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      }),
    );
  }
  client.destroy();
}

function environmentOf(endpoints: Endpoints, secrets: string, queueUrl: string): Record<string, string> {
  return {
    AWS_REGION: engineAccess.region,
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
    STAGE_NAME: 'local',
    TABLE_NAME: tables.simhook,
    EVENTS_TABLE: tables.events,
    IDEMPOTENCY_TABLE: tables.idempotency,
    EVENTS_QUEUE_URL: queueUrl,
    CALLBACK_SECRET_IDS: JSON.stringify({ eiotclub: 'eiotclub' }),
    SECRETS_ENDPOINT: secrets,
    DYNAMODB_ENDPOINT: endpoints.dynamodb,
    SQS_ENDPOINT: endpoints.sqs,
  };
}

interface Receiver {
  /** Posts the bodies, a few at once; throws unless each is answered with 200. */
  post(bodies: readonly string[]): Promise<void>;
  cpuUs(): Promise<number>;
  stop(): Promise<void>;
}

const childFile = fileURLToPath(new URL('http-child.ts', import.meta.url));

async function startReceiver(bundle: BuiltBundle, env: Record<string, string>): Promise<Receiver> {
  const child = fork(childFile, [bundle.file], {
    env,
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const { url } = z.object({ url: z.string() }).parse(await messageOf(child));
  const pool = new Pool(url, { connections, pipelining: 1 });
  const postOne = async (body: string): Promise<void> => {
    const headers = { 'content-type': 'application/json', 'user-agent': 'okhttp/4.9.3' };
    const answer = await pool.request({ method: 'POST', path: callbackPath, headers, body });
    await answer.body.dump();
    if (answer.statusCode !== 200) throw new Error(`${bundle.name} answered ${answer.statusCode}`);
  };
  return {
    post: async (bodies) => {
      const waiting = [...bodies];
      const worker = async (): Promise<void> => {
        for (let body = waiting.pop(); body !== undefined; body = waiting.pop()) await postOne(body);
      };
      await Promise.all(Array.from({ length: connections }, worker));
    },
    cpuUs: async () => {
      const answer = messageOf(child);
      child.send('cpu');
      return z.object({ cpuUs: z.number() }).parse(await answer).cpuUs;
    },
    stop: async () => {
      await pool.destroy();
      if (!child.connected) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.disconnect();
      await ended;
    },
  };
}

function messageOf(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = (code: number | null): void => reject(new Error(`the receiver ended with code ${code}`));
    child.once('exit', fail);
    child.once('message', (message) => {
      child.off('exit', fail);
      resolve(message);
    });
  });
}

interface Samples {
  readonly fresh: number[];
  readonly duplicate: number[];
  readonly perSec: number[];
}

async function compare(
  world: World,
  { rounds, requests }: { readonly rounds: number; readonly requests: number },
): Promise<BenchReport> {
  let made = 0;
  const next = (): readonly string[] =>
    Array.from({ length: requests }, () => {
      made += 1;
      return alertBody(made, Number.POSITIVE_INFINITY, Date.now());
    });
  const contenders = [];
  for (const bundle of world.bundles) {
    const receiver = await world.start(bundle, world.engines);
    await receiver.post(next());
    const samples: Samples = { fresh: [], duplicate: [], perSec: [] };
    contenders.push({ bundle, receiver, samples });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { receiver, samples } of contenders) await turn(receiver, next(), samples);
  }
  const rows = [];
  const floor = median(contenders[0]?.samples.fresh ?? []);
  for (const { bundle, samples } of contenders) {
    const calls = await countCalls(world, bundle, next().slice(0, 10));
    rows.push([
      bundle.name === 'receive' ? 'simhook' : bundle.name,
      round(median(samples.fresh)),
      round(median(samples.duplicate)),
      round(median(samples.fresh) / floor),
      round(median(samples.perSec)),
      calls.fresh,
      calls.duplicate,
    ]);
  }
  return { about, header, rows };
}

/** New callbacks, then the same ones again. */
async function turn(receiver: Receiver, bodies: readonly string[], samples: Samples): Promise<void> {
  const before = await receiver.cpuUs();
  const begun = performance.now();
  await receiver.post(bodies);
  samples.perSec.push(bodies.length / ((performance.now() - begun) / 1_000));
  const between = await receiver.cpuUs();
  samples.fresh.push((between - before) / bodies.length);
  await receiver.post(bodies);
  samples.duplicate.push(((await receiver.cpuUs()) - between) / bodies.length);
}

/** The calls of one callback: seen in a second process, whose engines are behind proxies. */
async function countCalls(
  world: World,
  bundle: BuiltBundle,
  bodies: readonly string[],
): Promise<{ readonly fresh: string; readonly duplicate: string }> {
  const proxies = await Promise.all([
    startFaultyProxy(world.engines.dynamodb),
    startFaultyProxy(world.engines.sqs),
  ]);
  const [dynamodb, sqs] = proxies;
  const receiver = await world.start(bundle, { dynamodb: dynamodb.endpoint, sqs: sqs.endpoint });
  const perBody = async (): Promise<string> => {
    for (const proxy of proxies) proxy.plan();
    await receiver.post(bodies);
    const counts = Map.groupBy([...dynamodb.seen, ...sqs.seen], (operation) => operation);
    return [...counts].map(([name, { length }]) => `${length / bodies.length} ${name}`).join(', ');
  };
  const fresh = await perBody();
  const duplicate = await perBody();
  await receiver.stop();
  await Promise.all(proxies.map((proxy) => proxy.stop()));
  return { fresh, duplicate };
}
