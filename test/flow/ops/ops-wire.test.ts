import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { topology } from '../../../infra/topology.ts';
import { before, epochMs, hours } from '../../../shared/core/time.ts';
import { seededRandom } from '../../../shared/platform/random.ts';
import { makeSqsClient } from '../../../shared/queue/sqs-client.ts';
import { sqsWorkQueue } from '../../../shared/queue/sqs-work-queue.ts';
import { toMessage } from '../../../shared/queue/work-item.ts';
import { makeDynamoClient } from '../../../shared/store/dynamo-client.ts';
import { createDynamoTable } from '../../../shared/store/dynamo-setup.ts';
import { dynamoTable } from '../../../shared/store/dynamo-table.ts';
import { recordCallback } from '../../../shared/store/event-store.ts';
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

describeWithEngine('the command line on DynamoDB and SQS', dynamoDbLocalProblem(), () => {
  describe('the command line on DynamoDB and SQS', () => {
    const folder = temporaryFolder();
    // DynamoDB Local deletes what has expired by the machine's own clock, so this test has to live in the present.
    // One for all command lines: a write's token must not come twice.
    const random = seededRandom(2);
    const present = epochMs(Date.now());
    const now = () => present;
    const alert = event({ receivedAt: before(present, hours(1)), occurredAt: before(present, hours(1)) });
    const sleep = async (): Promise<void> => undefined;
    const engines: { dynamo: Engine | null; sqs: Engine | null } = { dynamo: null, sqs: null };
    let where: readonly string[] = [];
    let deadLetterUrl = '';

    beforeAll(async () => {
      const [dynamo, sqs] = await Promise.all([startDynamoDbLocal(), startSqs()]);
      engines.dynamo = dynamo;
      engines.sqs = sqs;
      const client = makeDynamoClient({ ...engineAccess, endpoint: dynamo.endpoint });
      await createDynamoTable(client, 'ops');
      const settings = { visibilitySec: 30, receivesMax: topology.queue.receivesMax, retentionSec: 3_600 };
      const events = await createSqsQueue(sqs, 'ops-events', settings);
      const actions = await createSqsQueue(sqs, 'ops-actions', settings);
      deadLetterUrl = events.deadLetterUrl;
      const stageFile = join(folder.path, 'stage.json');
      writeFileSync(stageFile, JSON.stringify(stageInput('http://127.0.0.1:1')));
      where = [
        ...['--stage-file', stageFile, '--table', 'ops', '--region', engineAccess.region],
        ...['--endpoint', dynamo.endpoint, '--sqs-endpoint', sqs.endpoint],
        ...['--queue', `events=${events.queueUrl}`, '--queue', `actions-eiotclub=${actions.queueUrl}`],
        ...['--dead-letter', `events=${events.deadLetterUrl}`],
      ];
      const table = dynamoTable({ client, tableName: 'ops', random: seededRandom(1), sleep });
      const evidence = {
        body: Buffer.from('{"event":"FlowAlert"}'),
        headers: {},
        path: '/callbacks/eiotclub',
      };
      await recordCallback(table, {
        callbackId: 'cbk_1',
        evidence,
        events: [alert],
        now: alert.receivedAt,
      });
      await table.close();
    });
    afterAll(async () => {
      await engines.dynamo?.stop();
      await engines.sqs?.stop();
      folder.remove();
    });
    const run = (...argv: string[]): Promise<Said> =>
      runOnce([...where, ...argv], { clock: now, random, sleep });

    it('lists events, redrives a dead letter, replays dry and executed, pauses, and shows the action', async () => {
      const first = await run('events', '--json');
      expect(first.json).toMatchObject([{ eventId: alert.eventId, state: 'recorded' }]);
      const dead = sqsWorkQueue({
        client: makeSqsClient({
          ...engineAccess,
          endpoint: engines.sqs?.endpoint ?? '',
          requestTimeoutMs: 5_000,
        }),
        queueUrl: deadLetterUrl,
        waitSec: 0,
        random: seededRandom(3),
        sleep,
      });
      await dead.send([toMessage({ kind: 'event', id: alert.eventId, correlationId: 'c' }, 'g')]);
      expect((await run('dlq', 'list', '--json')).json).toMatchObject([{ verdict: 'open' }]);
      expect((await run('dlq', 'redrive', '--json')).json).toMatchObject([
        { outcomes: { 'sent back: open': 1 } },
      ]);
      expect((await run('dlq', 'list', '--json')).json).toEqual([]);
      await dead.close();
      const dry = await run('replay', '--json');
      expect(dry.json[0]).toMatchObject({ outcomes: { 'decided for the first time: acts': 1 } });
      expect((await run('actions', '--json')).json).toEqual([]);
      expect(await run('replay', '--execute')).toMatchObject({ code: 0 });
      const actions = await run('actions', '--json', '--state', 'open');
      expect(actions.json).toMatchObject([{ state: { name: 'planned' } }]);
      expect(await run('pause', '--all', '--reason', 'on the wire')).toMatchObject({ code: 0 });
      expect((await run('stops')).out).toContain('everything since');
      const cancelled = await run(
        'action',
        'cancel',
        String(actions.json[0]?.actionId),
        '--reason',
        'a test',
      );
      expect(cancelled).toMatchObject({ code: 0 });
      expect((await run('export', '--since', '2d')).out.trim().split('\n')).toHaveLength(2);
    });

    it('ends with one line and code 5 when the table is not there', async () => {
      const at = where.indexOf('ops');
      const said = await runOnce(
        [...where.toSpliced(at, 1, `gone-${randomBytes(3).toString('hex')}`), 'events'],
        {
          clock: now,
          random,
          sleep,
        },
      );
      expect(said.code).toBe(5);
      expect(said.err).not.toMatch(/\n\s+at /);
    });
  });
});
