import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../shared/platform/random.ts';
import { makeSqsClient } from '../../shared/queue/sqs-client.ts';
import { triesMax } from '../../shared/queue/sqs-retry.ts';
import { sqsWorkQueue } from '../../shared/queue/sqs-work-queue.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import { createSqsQueue, type Engine, engineAccess, startSqs } from '../support/engines.ts';
import { type FaultyProxy, serviceError, startFaultyProxy } from '../support/faulty-proxy.ts';
import { benchSettings, describeWorkQueue, type QueueBench } from './work-queue-contract.ts';

const state: { engine: Engine | null; queues: number } = { engine: null, queues: 0 };
const engine = (): Engine => {
  if (state.engine === null) throw new Error('the SQS engine was not started');
  return state.engine;
};
beforeAll(async () => {
  state.engine = await startSqs();
});
afterAll(async () => {
  await state.engine?.stop();
});

function openQueue(endpoint: string, queueUrl: string, pauses: number[] = []): WorkQueue {
  const client = makeSqsClient({ ...engineAccess, endpoint, requestTimeoutMs: 5_000 });
  const pause = async (ms: number): Promise<void> => {
    pauses.push(ms);
  };
  return sqsWorkQueue({ client, queueUrl, waitSec: 0, random: seededRandom(7), sleep: pause });
}

async function makeBench(): Promise<QueueBench> {
  state.queues += 1;
  const urls = await createSqsQueue(engine(), `work${state.queues}`, benchSettings);
  const queue = openQueue(engine().endpoint, urls.queueUrl);
  const deadLetter = openQueue(engine().endpoint, urls.deadLetterUrl);
  return {
    queue,
    deadLetter,
    // The engine has a clock of its own, which can't be set.
    pass: async (ms) => sleep(ms),
    now: () => Date.now(),
    close: async () => {
      await queue.close();
      await deadLetter.close();
    },
  };
}

describeWorkQueue('work queue on SQS (fauxqs)', makeBench);

describe('SQS work queue when calls fail', () => {
  const faulty: { proxy: FaultyProxy | null; queue: WorkQueue | null; pauses: number[] } = {
    proxy: null,
    queue: null,
    pauses: [],
  };
  const proxy = (): FaultyProxy => {
    if (faulty.proxy === null) throw new Error('the proxy was not started');
    return faulty.proxy;
  };
  const queue = (): WorkQueue => {
    if (faulty.queue === null) throw new Error('the queue was not made');
    return faulty.queue;
  };
  beforeAll(async () => {
    faulty.proxy = await startFaultyProxy(engine().endpoint);
  });
  beforeEach(async () => {
    state.queues += 1;
    const { queueUrl } = await createSqsQueue(engine(), `faulty${state.queues}`, benchSettings);
    faulty.pauses = [];
    faulty.queue = openQueue(proxy().endpoint, queueUrl, faulty.pauses);
    proxy().plan();
    return () => faulty.queue?.close();
  });
  afterAll(async () => {
    await faulty.proxy?.stop();
  });
  const messages = (count: number) =>
    Array.from({ length: count }, (_, n) => ({ body: `{"id":"m${n}"}`, groupId: `g${n}`, delaySec: 0 }));
  const refuse = (ids: readonly string[], senderFault: boolean) => (body: string) => {
    expect(body).toContain('Successful');
    const Failed = ids.map((Id) => ({
      Id,
      SenderFault: senderFault,
      Code: 'InternalError',
      Message: 'injected',
    }));
    return JSON.stringify({ Successful: [], Failed });
  };

  it('calls the endpoint that it was given, not the host in the URL of the queue', async () => {
    const elsewhere = openQueue(proxy().endpoint, 'http://127.0.0.1:9/000000000000/absent');
    await expect(elsewhere.depth()).rejects.toMatchObject({ name: 'QueueError' });
    expect(proxy().seen).toEqual(['GetQueueAttributes']);
    await elsewhere.close();
  });

  it('sends again only the entries of a batch that were not taken', async () => {
    proxy().plan({ kind: 'rewrite', rewrite: refuse(['1', '3'], false) });
    await queue().send(messages(4));
    expect(proxy().seen).toEqual(['SendMessageBatch', 'SendMessageBatch']);
    // The engine had taken all four, so that the two that were sent again are there twice.
    const bodies = (await queue().receive(10)).map(({ body }) => body).toSorted();
    expect(bodies).toEqual([
      '{"id":"m0"}',
      '{"id":"m1"}',
      '{"id":"m1"}',
      '{"id":"m2"}',
      '{"id":"m3"}',
      '{"id":"m3"}',
    ]);
  });

  it('gives up when entries are refused again and again', async () => {
    const rewrite = refuse(['0'], false);
    proxy().plan(...Array.from({ length: 50 }, () => ({ kind: 'rewrite', rewrite }) as const));
    await expect(queue().send(messages(2))).rejects.toThrow(/1 of 2 entries undone 6 times/);
    expect(proxy().seen).toHaveLength(triesMax);
  });

  it('does not send again what is refused as our own fault', async () => {
    proxy().plan({ kind: 'rewrite', rewrite: refuse(['0'], true) });
    await expect(queue().send(messages(2))).rejects.toMatchObject({
      name: 'QueueError',
      code: 'unavailable',
    });
    expect(proxy().seen).toHaveLength(1);
  });

  it.each([
    ['throttling', serviceError(400, 'ThrottlingException')],
    ['a 503', serviceError(503, 'ServiceUnavailable')],
    ['a lost request', { kind: 'lose-request' } as const],
  ])('carries on after %s', async (_name, fault) => {
    proxy().plan(fault, fault);
    await queue().send(messages(1));
    proxy().plan(fault);
    const received = await queue().receive(1);
    expect(received).toHaveLength(1);
    proxy().plan(fault);
    await queue().acknowledge(received.map(({ receipt }) => receipt));
    proxy().plan(fault);
    expect(await queue().depth()).toEqual({ visible: 0, inFlight: 0 });
    expect(faulty.pauses).toHaveLength(5);
  });

  it('may send twice when the answer to a send was lost', async () => {
    proxy().plan({ kind: 'lose-answer' });
    await queue().send(messages(1));
    expect(await queue().receive(10)).toHaveLength(2);
  });

  it('gives up after 6 tries and says so', async () => {
    proxy().plan(...Array.from({ length: 50 }, () => serviceError(400, 'ThrottlingException')));
    await expect(queue().receive(1)).rejects.toThrow(/6 of 6 tries with ThrottlingException/);
    await expect(queue().receive(1)).rejects.toMatchObject({ name: 'QueueError', retryable: true });
    expect(proxy().seen).toHaveLength(2 * triesMax);
  });

  it('tells an unreadable delivery apart from none', async () => {
    const message = { MessageId: 'x', Body: 'y', ReceiptHandle: 'z' };
    const MD5OfBody = createHash('md5').update(message.Body).digest('hex');
    const body = JSON.stringify({ Messages: [{ ...message, MD5OfBody }] });
    proxy().plan({ kind: 'answer', status: 200, body });
    await expect(queue().receive(1)).rejects.toThrow(/cannot be read/);
  });

  it('refuses to wait longer than SQS allows', () => {
    const client = makeSqsClient({ ...engineAccess, endpoint: engine().endpoint, requestTimeoutMs: 5_000 });
    const rest = { client, queueUrl: 'x', random: seededRandom(1), sleep: async () => undefined };
    expect(() => sqsWorkQueue({ ...rest, waitSec: 21 })).toThrow(RangeError);
    client.destroy();
  });
});
