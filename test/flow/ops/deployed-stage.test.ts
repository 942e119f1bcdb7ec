import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { assertOwnAccount } from '../../../infra/ops/cloudformation-stage.ts';
import { topology } from '../../../infra/topology.ts';
import { before, epochMs, hours } from '../../../shared/core/time.ts';
import { seededRandom } from '../../../shared/platform/random.ts';
import { makeDynamoClient } from '../../../shared/store/dynamo-client.ts';
import { createDynamoTable } from '../../../shared/store/dynamo-setup.ts';
import { dynamoTable } from '../../../shared/store/dynamo-table.ts';
import { recordCallback } from '../../../shared/store/event-store.ts';
import { simulatorDefaults } from '../../provider-simulator/simulator.ts';
import { type ControlPlane, startControlPlane } from '../../support/aws-control-plane.ts';
import {
  createSqsQueue,
  describeWithEngine,
  dynamoDbLocalProblem,
  type Engine,
  engineAccess,
  startDynamoDbLocal,
  startSqs,
} from '../../support/engines.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { event } from '../../unit/core/samples.ts';
import { runOnce, type Said, stageInput } from './ops-shop.ts';

const { region } = engineAccess;
const folder = temporaryFolder();
const stageFile = join(folder.path, 'stage.json');
const { providers, ...rest } = stageInput('https://provider.example');
const { secrets: _none, ...eiotclub } = providers.eiotclub ?? { currency: 'USD', settings: {} };
writeFileSync(stageFile, JSON.stringify({ ...rest, providers: { ...providers, eiotclub } }));
const present = epochMs(Date.now());
const random = seededRandom(2);

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane(region);
});
afterAll(async () => {
  await plane.stop();
  folder.remove();
});

function run(options: { readonly region?: string; readonly endpoints?: string[] }, ...argv: string[]) {
  const where = ['--stage-file', stageFile, '--stage', 'flow', '--control-endpoint', plane.endpoint];
  const place = options.region === undefined ? [] : ['--region', options.region];
  return runOnce([...where, ...place, ...(options.endpoints ?? []), ...argv], {
    clock: () => present,
    random,
    readStdin: async () => Buffer.from('{"event":"FlowAlert","sign":"ABC"}'),
  });
}

describe('a stage that can’t be found', () => {
  const good = { OpsLayout: '1', OpsTable: 'simhook-flow' };
  beforeEach(() => {
    plane.stacks.clear();
    plane.stacks.set('simhook-flow-state', { status: 'UPDATE_COMPLETE', outputs: good });
    plane.refuse('cloudformation:DescribeStacks', null);
  });
  afterEach(() => vi.unstubAllEnvs());

  async function line(said: Promise<Said>): Promise<readonly [number, string]> {
    const { code, err, out } = await said;
    expect([out, err.split('\n').length]).toEqual(['', 2]);
    return [code, err];
  }

  it('is said to be not deployed, with the stack’s name and how to deploy it', async () => {
    plane.stacks.clear();
    expect(await line(run({ region }, 'actions'))).toEqual([
      3,
      'simhook: there is no stack simhook-flow-state in eu-central-1: the stage is not deployed there; check --stage, --region and the profile, or run npx cdk deploy simhook-flow-state -c stage=flow\n',
    ]);
  });

  it('is looked for in the region that was named, and not in another one', async () => {
    expect(await line(run({ region: 'us-east-1' }, 'actions'))).toEqual([
      3,
      expect.stringContaining('no stack simhook-flow-state in us-east-1'),
    ]);
  });

  it.each([
    ['AccessDenied', /lack cloudformation:DescribeStacks \(AccessDenied\): ask for it/],
    ['ExpiredToken', /the credentials ran out \(ExpiredToken\): sign in again/],
    ['InvalidClientTokenId', /the credentials are not accepted/],
    ['InternalFailure', /it can't be reached \(InternalFailure\)/],
  ])('is told apart from %s, which has its own line', async (error, text) => {
    plane.refuse('cloudformation:DescribeStacks', error);
    expect(await line(run({ region }, 'actions'))).toEqual([5, expect.stringMatching(text)]);
  });

  it('asks for a region and for credentials where there are none', async () => {
    for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_PROFILE'])
      vi.stubEnv(name, undefined);
    for (const name of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE'])
      vi.stubEnv(name, join(folder.path, 'nothing'));
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    expect(await line(run({}, 'actions'))).toEqual([5, expect.stringContaining('no region: name it with')]);
    // Not this machine's own address, for which the command line has credentials of its own.
    const elsewhere = ['--control-endpoint', 'http://127.0.0.2:9'];
    expect(await line(run({ region, endpoints: elsewhere }, 'actions'))).toEqual([
      5,
      expect.stringContaining('no credentials were found: sign in'),
    ]);
  });

  it.each([
    ['an older simhook', { OpsOptions: '--region x --table y' }, /deployed by an older simhook/],
    ['a newer simhook', { ...good, OpsLayout: '2' }, /another simhook \(outputs of layout 2\)/],
    [
      'someone else',
      { ...good, OpsQueueEvents: 'no json' },
      /the output OpsQueueEvents .* is not what simhook/,
    ],
    ['nobody yet', {}, /is UPDATE_COMPLETE and has no outputs/],
  ])('is said to be deployed by %s', async (_who, outputs, text) => {
    plane.stacks.set('simhook-flow-state', { status: 'UPDATE_COMPLETE', outputs });
    expect(await line(run({ region }, 'actions'))).toEqual([1, expect.stringMatching(text)]);
  });

  it('is left alone in another account or region than its file pins', async () => {
    const pinned = (aws: object): string => {
      const path = join(folder.path, `pinned-${Object.values(aws).join('-')}.ts`);
      const text = JSON.stringify({ ...rest, providers: { ...providers, eiotclub } });
      writeFileSync(path, `export default ${text};\nexport const aws = ${JSON.stringify(aws)};\n`);
      return path;
    };
    const pause = (file: string, ...where: string[]) =>
      runOnce(
        [
          ...['--stage-file', file, '--stage', 'flow', '--control-endpoint', plane.endpoint, ...where],
          ...['pause', '--all', '--reason', 'prices are wrong'],
        ],
        { clock: () => present, random },
      );
    expect(await line(pause(pinned({ account: '444455556666', region })))).toEqual([
      2,
      'simhook: the stage flow is pinned to the account 444455556666 by its file, but these credentials are of 111122223333: choose another profile\n',
    ]);
    // What the secrets of a pinned stage are kept for.
    const place = { account: '444455556666', region, endpoint: plane.endpoint };
    await expect(assertOwnAccount('flow', place)).rejects.toThrow('choose another profile');
    plane.calls.length = 0;
    expect(await line(pause(pinned({ region }), '--region', 'us-east-1'))).toEqual([
      2,
      'simhook: --region is us-east-1, but the stage flow is pinned to eu-central-1 by its file: leave it out\n',
    ]);
    expect(plane.calls).toEqual([]);
  });

  it('is not mistaken for another one: its file must be its own', async () => {
    const said = runOnce(['--stage', 'other', '--stage-file', stageFile, 'actions'], {
      clock: () => present,
      random,
    });
    expect(await line(said)).toEqual([2, expect.stringContaining('is of the stage "flow"')]);
    const unknown = (name: string) => runOnce(['--stage', name, 'actions'], { clock: () => present, random });
    expect(await line(unknown('prodution'))).toEqual([
      3,
      expect.stringContaining('there is no stage "prodution"; infra/stages has local, production'),
    ]);
    expect(await line(unknown('../aws/units'))).toEqual([2, expect.stringContaining('a stage name is')]);
  });
});

describeWithEngine('a deployed stage', dynamoDbLocalProblem(), () => {
  describe('a deployed stage', () => {
    const engines: { dynamo: Engine | null; sqs: Engine | null } = { dynamo: null, sqs: null };
    const alert = event({ receivedAt: before(present, hours(1)), occurredAt: before(present, hours(1)) });
    let endpoints: string[] = [];
    const inStage = (...argv: string[]): Promise<Said> => run({ region, endpoints }, ...argv);

    beforeAll(async () => {
      const [dynamo, sqs] = await Promise.all([startDynamoDbLocal(), startSqs()]);
      Object.assign(engines, { dynamo, sqs });
      endpoints = ['--endpoint', dynamo.endpoint, '--sqs-endpoint', sqs.endpoint];
      const client = makeDynamoClient({ ...engineAccess, endpoint: dynamo.endpoint });
      await createDynamoTable(client, 'simhook-flow');
      const settings = { visibilitySec: 30, receivesMax: topology.queue.receivesMax, retentionSec: 3_600 };
      const queue = async (name: string): Promise<string> => {
        const { queueUrl, deadLetterUrl } = await createSqsQueue(sqs, name, settings);
        return JSON.stringify({ queue: name, url: queueUrl, deadLetters: deadLetterUrl });
      };
      plane.stacks.set('simhook-flow-state', {
        status: 'UPDATE_COMPLETE',
        outputs: {
          OpsLayout: '1',
          OpsTable: 'simhook-flow',
          OpsQueueEvents: await queue('events'),
          OpsQueueActionsEiotclub: await queue('actions-eiotclub'),
        },
      });
      plane.secrets.set(
        'simhook/flow/eiotclub/callback',
        JSON.stringify({ keys: [{ keyId: null, value: simulatorDefaults.eiotclub.callbackSecret }] }),
      );
      plane.secrets.set('simhook/flow/eiotclub/api', null);
      const table = dynamoTable({ client, tableName: 'simhook-flow', random, sleep: async () => undefined });
      const evidence = { body: Buffer.from('{}'), headers: {}, path: '/callbacks/eiotclub' };
      await recordCallback(table, { callbackId: 'cbk_1', evidence, events: [alert], now: alert.receivedAt });
      await table.close();
      plane.calls.length = 0;
    });
    afterAll(async () => {
      await engines.dynamo?.stop();
      await engines.sqs?.stop();
    });

    it('is worked on by its name alone, and no secret is read for that', async () => {
      expect((await inStage('events', '--json')).json).toMatchObject([{ eventId: alert.eventId }]);
      expect(await inStage('replay', '--execute')).toMatchObject({ code: 0 });
      expect((await inStage('actions', '--json')).json).toMatchObject([{ state: { name: 'planned' } }]);
      expect((await inStage('dlq', 'list', '--json')).code).toBe(0);
      expect(new Set(plane.calls)).toEqual(new Set(['cloudformation:DescribeStacks']));
    });

    it('has its secrets in Secrets Manager: read by doctor, which finds the one that was never set', async () => {
      const said = await inStage('doctor', '--no-probe', '--json');
      expect(said.code).toBe(1);
      expect(said.json).toContainEqual({
        check: 'secrets',
        result: 'bad',
        detail: 'eiotclub: no API key, so nothing can be bought',
      });
      expect(said.json).toContainEqual(
        expect.objectContaining({
          check: 'queues',
          detail: expect.stringMatching(/events \d.*actions-eiotclub 1/),
        }),
      );
      expect(JSON.stringify(said)).not.toContain(simulatorDefaults.eiotclub.callbackSecret);
    });

    it('explains a signature with the stage’s own key, without any engine', async () => {
      plane.calls.length = 0;
      const said = await run({ region }, 'explain', '--provider', 'eiotclub', '-');
      expect(said.code).toBe(1);
      expect(said.out).toContain('hashed text under each variant');
      expect(plane.calls).toEqual(['secretsmanager:GetSecretValue']);
      plane.refuse('secretsmanager:GetSecretValue', 'AccessDeniedException');
      const denied = await run({ region }, 'explain', '--provider', 'eiotclub', '-');
      expect([denied.code, denied.err]).toEqual([
        5,
        expect.stringMatching(
          /the secret simhook\/flow\/eiotclub\/callback could not be read: these credentials lack secretsmanager:GetSecretValue/,
        ),
      ]);
      plane.refuse('secretsmanager:GetSecretValue', null);
    });
  });
});
