import { join } from 'node:path';
import { DeleteMessageCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { FunctionName } from '../../infra/aws/bundles.ts';
import { topology } from '../../infra/topology.ts';
import { inState } from '../../shared/core/lifecycle.ts';
import { epochMs } from '../../shared/core/time.ts';
import { systemClock } from '../../shared/platform/clock.ts';
import { seededRandom } from '../../shared/platform/random.ts';
import { makeSqsClient } from '../../shared/queue/sqs-client.ts';
import { loadAction, replaceAction } from '../../shared/store/action-store.ts';
import { makeDynamoClient } from '../../shared/store/dynamo-client.ts';
import { createDynamoTable } from '../../shared/store/dynamo-setup.ts';
import { dynamoTable } from '../../shared/store/dynamo-table.ts';
import type { Item, Table } from '../../shared/store/table.ts';
import type { CallbackMessage } from '../provider-simulator/callbacks.ts';
import { createSimulator, type Simulator, simulatorDefaults } from '../provider-simulator/simulator.ts';
import {
  createSqsQueue,
  describeWithEngine,
  dynamoDbLocalProblem,
  type Engine,
  engineAccess,
  startDynamoDbLocal,
  startSqs,
} from '../support/engines.ts';
import {
  aimedAt,
  environmentOf,
  resolver,
  rightsOf,
  type Statement,
  workQueueIds,
} from './deployed-world.ts';
import { type LambdaProcess, startLambda } from './lambda-process.ts';
import {
  type RecordingProxy,
  startRecordingProxy,
  startSecretsEndpoint,
  type UsedCall,
} from './recording-proxy.ts';
import { type Synthesized, synthesize } from './synthesized.ts';

const tableName = 'simhook-production';
const sim = '89852022200422000012';
const pathToken = 'a-path-token-of-32-characters-00';
const names = [
  'Receive',
  'Decide',
  'ActEiotclub',
  'ActLinksfieldCsss',
  'ActLinksfieldCube',
  'Sweep',
  'ReconcileEiotclub',
] as const;
type Name = (typeof names)[number];

interface Deployed {
  readonly lambda: LambdaProcess;
  readonly calls: () => readonly UsedCall[];
  readonly env: Readonly<Record<string, string>>;
  readonly rights: readonly Statement[];
}

/** The template's functions as processes, each behind recording proxies of its own. */
interface World {
  readonly deployed: ReadonlyMap<Name, Deployed>;
  readonly simulator: Simulator;
  readonly sent: CallbackMessage[];
  readonly table: Table;
  readonly arnOf: (on: string) => string;
  start(name: Name, folder: string, change: Readonly<Record<string, string>>): Promise<Deployed>;
  /** One message of a queue as Lambda's poller hands it over; null when none is visible. */
  take(queueIdPrefix: string): Promise<object | null>;
  stop(): Promise<void>;
}

const bundleOf: Readonly<Record<Name, FunctionName>> = {
  Receive: 'receive',
  Decide: 'decide',
  ActEiotclub: 'act',
  ActLinksfieldCsss: 'act',
  ActLinksfieldCube: 'act',
  Sweep: 'sweep',
  ReconcileEiotclub: 'reconcile',
};

const secretText = (value: string, keyId: string | null, token: string | null): string =>
  JSON.stringify({ keys: [{ keyId, value }], pathToken: token });

const secretTexts: Readonly<Record<string, string>> = {
  'eiotclub/callback': secretText(simulatorDefaults.eiotclub.callbackSecret, null, null),
  'eiotclub/api': secretText(simulatorDefaults.eiotclub.secret, simulatorDefaults.eiotclub.appkey, null),
  'linksfield-csss/callback': secretText(simulatorDefaults.csss.callbackSecret, null, pathToken),
};

async function openWorld(): Promise<World> {
  const [dynamo, sqs] = await Promise.all([startDynamoDbLocal(), startSqs()]);
  const urls = new Map<string, string>();
  for (const id of workQueueIds(made)) urls.set(id, await makeQueue(sqs, id));
  const sent: CallbackMessage[] = [];
  const simulator = await createSimulator({
    callbackSender: async (message) => {
      sent.push(message);
      return 200;
    },
    callbacks: { urls: { eiotclub: 'http://sim/', 'linksfield-csss': 'http://sim/' }, delayMs: 0 },
  });
  const baseUrl = await simulator.listen();
  const client = makeDynamoClient({ ...engineAccess, endpoint: dynamo.endpoint });
  await createDynamoTable(client, tableName);
  const table = dynamoTable({ client, tableName, random: seededRandom(1), sleep: async () => undefined });
  const physical = {
    ref: (id: string) => urls.get(id) ?? (id.startsWith('Table') ? tableName : secretArn(id)),
    arn: (id: string) => (id.startsWith('Table') ? `arn:table/${tableName}` : `arn:${id}`),
  };
  const resolve = resolver(made, physical);
  const byArn = new Map(
    Object.entries(secretTexts).map(([name, text]) => [`arn:secret:simhook/production/${name}`, text]),
  );
  const proxies: RecordingProxy[] = [];
  const started: Deployed[] = [];
  const start = async (
    name: Name,
    folder: string,
    change: Readonly<Record<string, string>>,
  ): Promise<Deployed> => {
    const [toDynamo, toSqs, toSecrets] = await Promise.all([
      startRecordingProxy(dynamo.endpoint),
      startRecordingProxy(sqs.endpoint),
      startSecretsEndpoint(byArn),
    ]);
    proxies.push(toDynamo, toSqs, toSecrets);
    const env = { ...environmentOf(made, name, resolve), ...change };
    const lambda = await startLambda(folder, {
      ...env,
      AWS_REGION: engineAccess.region,
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
      DYNAMODB_ENDPOINT: toDynamo.endpoint,
      SQS_ENDPOINT: toSqs.endpoint,
      SECRETS_ENDPOINT: toSecrets.endpoint,
    });
    const calls = (): readonly UsedCall[] => [...toDynamo.calls, ...toSqs.calls, ...toSecrets.calls];
    const it = { lambda, env, calls, rights: rightsOf(made, name, resolve) };
    started.push(it);
    return it;
  };
  const aimed = (name: 'act' | 'reconcile'): string =>
    aimedAt(made.bundles[name], join(made.outdir, `${name}-aimed`), 'eiotclub', baseUrl);
  const folders: Readonly<Partial<Record<Name, string>>> = {
    ActEiotclub: aimed('act'),
    ReconcileEiotclub: aimed('reconcile'),
  };
  const deployed = new Map<Name, Deployed>();
  for (const name of names) {
    deployed.set(name, await start(name, folders[name] ?? made.bundles[bundleOf[name]].folder, {}));
  }
  const queueClient = makeSqsClient({ ...engineAccess, endpoint: sqs.endpoint, requestTimeoutMs: 5_000 });
  return {
    deployed,
    simulator,
    sent,
    table,
    start,
    arnOf: (on) => {
      const [id] = [...urls].find(([, url]) => url === on) ?? [];
      if (id !== undefined) return `arn:${id}`;
      return on.startsWith(tableName) ? `arn:table/${on}` : on;
    },
    take: async (prefix) => {
      const [, QueueUrl] = [...urls].find(([id]) => id.startsWith(prefix)) ?? [];
      const { Messages = [] } = await queueClient.send(
        new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 1, MessageSystemAttributeNames: ['All'] }),
      );
      const [message] = Messages;
      if (message === undefined) return null;
      await queueClient.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message.ReceiptHandle }));
      return {
        Records: [
          {
            messageId: message.MessageId,
            receiptHandle: message.ReceiptHandle,
            body: message.Body,
            attributes: message.Attributes,
            messageAttributes: {},
            md5OfBody: message.MD5OfBody,
            eventSource: 'aws:sqs',
            eventSourceARN: `arn:${prefix}`,
            awsRegion: engineAccess.region,
          },
        ],
      };
    },
    stop: async () => {
      await Promise.all(started.map(({ lambda }) => lambda.stop()));
      await Promise.all(proxies.map((proxy) => proxy.stop()));
      queueClient.destroy();
      await table.close();
      await simulator.close();
      await Promise.all([dynamo.stop(), sqs.stop()]);
    },
  };
}

/** `SecretEiotclubApi` as the ARN of simhook/production/eiotclub/api. */
function secretArn(id: string): string {
  const match = /^Secret(.*)(Api|Callback)$/.exec(id);
  const provider = match?.[1]?.replace(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
  return match === null
    ? `arn:${id}`
    : `arn:secret:simhook/production/${provider}/${match[2]?.toLowerCase()}`;
}

async function makeQueue(sqs: Engine, name: string): Promise<string> {
  const settings = {
    visibilitySec: topology.queue.actionsVisibility / 1_000,
    receivesMax: topology.queue.receivesMax,
    retentionSec: topology.queue.retention / 1_000,
  };
  return (await createSqsQueue(sqs, name, settings)).queueUrl;
}

/** An HTTP API request of payload format 2.0, whole, as the developer guide shows it. */
function httpEvent(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  bodyText: string,
): object {
  return {
    version: '2.0',
    routeKey: `ANY ${path}`,
    rawPath: path,
    rawQueryString: '',
    headers: { 'content-length': String(Buffer.byteLength(bodyText)), host: 'hooks.example.com', ...headers },
    requestContext: {
      accountId: '111122223333',
      apiId: 'abc',
      domainName: 'hooks.example.com',
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '203.0.113.9', userAgent: 'x' },
      requestId: `req-${path}`,
      routeKey: `ANY ${path}`,
      stage: '$default',
      time: '22/Nov/2026:05:00:00 +0000',
      timeEpoch: 1_795_323_600_000,
    },
    ...(bodyText === '' ? {} : { body: Buffer.from(bodyText).toString('base64') }),
    isBase64Encoded: bodyText !== '',
  };
}

const httpResultSchema = z.object({ statusCode: z.number(), body: z.string() });
const done = { batchItemFailures: [] };

let made: Synthesized;
beforeAll(async () => {
  made = await synthesize();
}, 120_000);
afterAll(() => made?.remove());

describe('bundle sizes', () => {
  // 250 KiB was the wish. Three SDK clients and their core take 173 KB, zod 57 KB, our own code 97 KB.
  it('keep receive small: no HTTP client, no CDK, no languages of zod, no other credentials', () => {
    const { bytes, inputs } = made.bundles.receive;
    expect(bytes).toBeLessThan(323 * 1024);
    const unwanted = Object.entries(inputs).filter(
      ([path, size]) =>
        size > 0 &&
        /node_modules\/(undici|aws-cdk-lib|constructs|cdk-nag|mnemonist)|event-streams|zod\/.*locales\/(?!en\.)|credential-provider-(?!env)|-client\.ts$/.test(
          path,
        ),
    );
    expect(unwanted.map(([path]) => path).sort()).toEqual([
      'shared/platform/secrets-manager-client.ts',
      'shared/queue/sqs-client.ts',
      'shared/store/dynamo-client.ts',
    ]);
  });

  it('hold the rest to what they are', () => {
    const kib = (name: FunctionName): number => made.bundles[name].bytes / 1024;
    expect(kib('decide')).toBeLessThan(384);
    expect(kib('sweep')).toBeLessThan(272);
    expect(kib('act')).toBeLessThan(582);
    expect(kib('reconcile')).toBeLessThan(577);
  });

  it('give decide no HTTP client either, and act one', () => {
    const has = (name: FunctionName): boolean =>
      Object.keys(made.bundles[name].inputs).some((path) => path.includes('node_modules/undici/'));
    expect([has('decide'), has('sweep'), has('act')]).toEqual([false, false, true]);
  });
});

describeWithEngine('bundles', dynamoDbLocalProblem(), () => {
  describe('the deployed functions', () => {
    let world: World;
    beforeAll(async () => {
      world = await openWorld();
    }, 120_000);
    afterAll(() => world?.stop());

    const the = (name: Name): Deployed => {
      const found = world.deployed.get(name);
      if (found === undefined) throw new Error(`no function ${name}`);
      return found;
    };
    const post = async (message: CallbackMessage, path: string): Promise<z.infer<typeof httpResultSchema>> =>
      httpResultSchema.parse(
        await the('Receive').lambda.invoke(
          httpEvent('POST', path, message.headers, message.bodyText),
          10_000,
        ),
      );
    const emit = async (body: Parameters<Simulator['emit']>[1]): Promise<CallbackMessage> => {
      world.simulator.emit('eiotclub', body);
      await world.simulator.callbacks.settled();
      const message = world.sent.at(-1);
      if (message === undefined) throw new Error('the simulator sent nothing');
      return message;
    };
    const lastQueueOf = (name: Name): string => {
      const sends = the(name)
        .calls()
        .filter(({ action }) => action === 'sqs:SendMessage');
      return world.arnOf(sends.at(-1)?.on ?? '');
    };
    const lowData = { event: 'FlowAlert', iccid: sim, alert_type: 1, alert_value: '98.5' };
    const onlyAction = async (): Promise<Item> => {
      const [id] = world.simulator.orders({ provider: 'eiotclub' }).map(({ reference }) => reference);
      const item = await world.table.get({ pk: `ACTION#act_${id}`, sk: 'ACTION' });
      if (item === null) throw new Error(`no action of reference ${id}`);
      return item;
    };

    it('start under the environment of their template', () => {
      const inits = [...world.deployed].map(
        ([name, { lambda }]) => `${name} ${Math.round(lambda.initMs)} ms`,
      );
      expect(inits).toHaveLength(names.length);
      for (const { lambda } of world.deployed.values()) expect(lambda.initMs).toBeLessThan(5_000);
      process.stdout.write(`init: ${inits.join(', ')}\n`);
    });

    it('load none of the modules of Node’s that take long and that nothing uses', () => {
      const slow = /readline|http2|webcrypto|deps\/undici|fs\/streams|sqlite|worker/;
      const loaded = [...world.deployed].flatMap(([name, { lambda }]) =>
        lambda.nodeModules.filter((module) => slow.test(module)).map((module) => `${name} ${module}`),
      );
      expect(loaded).toEqual([]);
      expect(the('Receive').lambda.nodeModules.length).toBeGreaterThan(10);
    });

    it('say which variable is missing, by name', async () => {
      const { TABLE_NAME: _left, ...env } = the('Sweep').env;
      const start = startLambda(made.bundles.sweep.folder, {
        ...env,
        AWS_REGION: 'eu-central-1',
        ABSENT_PROVIDERS: '{}',
      });
      await expect(start).rejects.toThrow(
        /sweep: environment variable TABLE_NAME is not set; .*ABSENT_PROVIDERS is wrong/,
      );
    });

    it('store a signed callback once, whatever comes of its repetition', async () => {
      world.simulator.addSim({
        provider: 'eiotclub',
        simId: sim,
        packages: [{ code: 'PKG001', state: 'active' }],
      });
      const message = await emit(lowData);
      expect(await post(message, '/callbacks/eiotclub')).toMatchObject({ statusCode: 200 });
      expect(await post(message, '/callbacks/eiotclub')).toMatchObject({ statusCode: 200 });
      const forged = { ...message, bodyText: message.bodyText.replace('98.5', '99.5') };
      expect(await post(forged, '/callbacks/eiotclub')).toMatchObject({ statusCode: 401, body: '' });
      const greeting = await the('Receive').lambda.invoke(
        httpEvent('GET', '/callbacks/eiotclub', {}, ''),
        10_000,
      );
      expect(greeting).toMatchObject({ statusCode: 200 });
      expect(await the('Receive').lambda.invoke({ Records: [] }, 10_000)).toMatchObject({ statusCode: 503 });
      const lines = the('Receive').lambda.lines.filter((line) => line.includes('"_aws"'));
      expect(
        lines.some((line) => line.includes('"Callbacks":1') && line.includes('"provider":"eiotclub"')),
      ).toBe(true);
      expect(lines.some((line) => line.includes('"SignatureFailures":1'))).toBe(true);
    });

    it('answer 503, not 401, while a provider’s secret has no value, so that it tries again', async () => {
      const answer = await post(
        { url: '', headers: { 'content-type': 'application/json' }, bodyText: '{}' },
        '/callbacks/linksfield-cube',
      );
      expect(answer.statusCode).toBe(503);
    });

    it('decide, buy once although the answer is lost, and adopt the order that was made', async () => {
      const queued = await world.take('EventsQueue');
      expect(await the('Decide').lambda.invoke(queued, 30_000)).toEqual(done);
      world.simulator.faults.add({ match: { path: /orderPackage/ }, fault: { kind: 'drop', commit: true } });
      expect(await the('ActEiotclub').lambda.invoke(await world.take('ActionsEiotclub'), 60_000)).toEqual(
        done,
      );
      expect(world.simulator.orders({ provider: 'eiotclub' })).toHaveLength(1);
      expect((await onlyAction()).data).toMatchObject({ action: { state: { name: 'unknown' } } });

      // Notices of orders come while the answer is missing. One that may or may not be ours: its judgement waits.
      await world.simulator.callbacks.settled();
      const notice = world.sent.at(-1);
      if (notice === undefined || !notice.bodyText.includes('rder'))
        throw new Error('no notice of the order');
      const stranger = {
        event: 'SubPkgList',
        data: [{ orderId: 999, iccid: sim, packageCode: 'PKG001', state: 0 }],
      };
      await post(await emit(stranger), '/callbacks/eiotclub');
      expect(await the('Decide').lambda.invoke(await world.take('EventsQueue'), 30_000)).toEqual(done);
      expect(lastQueueOf('Decide')).toMatch(/^arn:EventsQueue/);
      // The order's own notice names our reference, so it is judged as our own purchase.
      await post(notice, '/callbacks/eiotclub');
      expect(await the('Decide').lambda.invoke(await world.take('EventsQueue'), 30_000)).toEqual(done);
    });

    it('sweep what is due, and see what nobody would work on', async () => {
      const actionId = String(
        z.object({ action: z.object({ actionId: z.string() }) }).parse((await onlyAction()).data).action
          .actionId,
      );
      const row = await loadAction(world.table, actionId);
      if (row === null) throw new Error(`no action ${actionId}`);
      const { action } = row.value;
      if (action.state.name !== 'unknown') throw new Error(`the action is ${action.state.name}`);
      const due = inState(
        action,
        { ...action.state, verifyAt: epochMs(systemClock() - 60_000) },
        epochMs(systemClock()),
      );
      expect(await replaceAction(world.table, row, due)).toBe('written');
      const tick = { schedule: 'arn:schedule', scheduledAt: '2026-11-22T05:00:00Z' };
      const blind = await world.start('Sweep', made.bundles.sweep.folder, {
        ACTIONS_QUEUE_URLS: '{}',
        ABSENT_PROVIDERS: '["eiotclub"]',
      });
      expect(await blind.lambda.invoke(tick, 55_000)).toMatchObject({ actions: 0 });
      expect(blind.lambda.lines.join('\n')).toContain('"OrphanedActions":1');
      expect(blind.lambda.lines.join('\n')).toContain('"OldestHeld":0');
      expect(await the('Sweep').lambda.invoke(tick, 55_000)).toMatchObject({ actions: 1 });
      await expect(the('Sweep').lambda.invoke({}, 55_000)).rejects.toThrow(/scheduledAt/);
    });

    it('settle what the sweep brought back, and keep one purchase', async () => {
      expect(await the('ActEiotclub').lambda.invoke(await world.take('ActionsEiotclub'), 60_000)).toEqual(
        done,
      );
      expect((await onlyAction()).data).toMatchObject({
        action: { state: { name: 'succeeded', adopted: true } },
      });
      expect(world.simulator.orders({ provider: 'eiotclub' })).toHaveLength(1);
      const figures = the('ActEiotclub').lambda.lines.join('\n');
      expect(figures).toMatch(/"outcome":"unknown","Actions":1/);
      expect(figures).toMatch(/"outcome":"succeeded","Actions":1/);
      expect(figures).toMatch(/"currency":"USD","SpendMinor":500/);
    });

    it('compare one provider’s records with the ledger, and no other provider’s', async () => {
      const tick = { schedule: 'arn:schedule', scheduledAt: '2026-11-22T05:00:00Z' };
      const asked = world.simulator.requests({ provider: 'eiotclub' }).length;
      const result = await the('ReconcileEiotclub').lambda.invoke(tick, 840_000);
      const providers = [{ provider: 'eiotclub', end: 'done', sims: 1, unread: 0, opened: 0 }];
      expect(result).toMatchObject({ providers, truncated: false });
      expect(world.simulator.requests({ provider: 'eiotclub' }).length).toBeGreaterThan(asked);
      expect(the('ReconcileEiotclub').lambda.lines.join('\n')).toContain('"ReconciledSims":1');
    });

    it('hand a message that is no work item back, and only that one', async () => {
      const bad = {
        Records: [{ messageId: 'm1', body: 'no json', attributes: { ApproximateReceiveCount: '1' } }],
      };
      const failures = { batchItemFailures: [{ itemIdentifier: 'm1' }] };
      expect(await the('Decide').lambda.invoke(bad, 30_000)).toEqual(failures);
      expect(await the('ActLinksfieldCube').lambda.invoke(bad, 60_000)).toEqual(failures);
    });

    it('print no secret and no body', () => {
      const printed = [...world.deployed.values()].flatMap(({ lambda }) => lambda.lines).join('\n');
      expect(printed.length).toBeGreaterThan(1_000);
      for (const secret of [
        simulatorDefaults.eiotclub.secret,
        simulatorDefaults.eiotclub.callbackSecret,
        pathToken,
        '98.5',
        'alert_value',
      ])
        expect(printed).not.toContain(secret);
    });

    /** What Lambda's poller and the log agent do in the function's name: no call of ours. */
    const notOurs = /^(logs:|sqs:(ReceiveMessage|DeleteMessage|GetQueueAttributes)$)/;

    it('make no call that their role does not allow', () => {
      for (const [name, { calls, rights }] of world.deployed) {
        const refused = calls().filter((call) => !isAllowed(call, rights, world.arnOf));
        expect([name, refused]).toEqual([name, []]);
      }
    });

    /** Rights for what this story has no room for, each with the code that needs it. */
    const rarely: Readonly<Partial<Record<Name, readonly string[]>>> = {
      // A price that becomes known later corrects the counters of the caps: correctCharge, capChanges.
      // A callback must have been missing for a while before an event stands in for it: recordMissed.
      ReconcileEiotclub: ['dynamodb:UpdateItem', 'sqs:SendMessage'],
    };

    it.each(['Receive', 'Decide', 'ActEiotclub', 'Sweep', 'ReconcileEiotclub'] as const)(
      '%s uses every right that it has',
      (name) => {
        const used = new Set(
          the(name)
            .calls()
            .map(({ action }) => action),
        );
        const allowed = the(name)
          .rights.flatMap(({ actions }) => actions)
          .filter((action) => !notOurs.test(action));
        process.stdout.write(
          `${name}: allowed ${[...new Set(allowed)].sort().join(' ')}; used ${[...used].sort().join(' ')}\n`,
        );
        const expected = new Set(allowed.filter((action) => !rarely[name]?.includes(action)));
        expect([...used].sort()).toEqual([...expected].sort());
      },
    );
  });
});

function isAllowed(call: UsedCall, rights: readonly Statement[], arnOf: (on: string) => string): boolean {
  return rights.some(
    ({ actions, resources, leadingKeys }) =>
      actions.includes(call.action) &&
      resources.includes(arnOf(call.on)) &&
      (leadingKeys === null ||
        call.keys.every((key) => leadingKeys.some((pattern) => key.startsWith(pattern.slice(0, -1))))),
  );
}
