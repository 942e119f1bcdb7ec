import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pollOnce, type QueueSource, startPoller } from '../../../infra/local/queue-poller.ts';
import { after, type EpochMs, seconds } from '../../../shared/core/time.ts';
import { handleEach } from '../../../shared/lambda/queue-event.ts';
import { handleWorkBatch } from '../../../shared/lambda/work-batch.ts';
import { silentLog } from '../../../shared/platform/log.ts';
import { takeTurns } from '../../../shared/platform/turns.ts';
import { openSqliteWorkQueue } from '../../../shared/queue/sqlite-work-queue.ts';
import { toMessage } from '../../../shared/queue/work-item.ts';
import type { WorkQueue } from '../../../shared/queue/work-queue.ts';
import type { SqliteTable } from '../../../shared/store/sqlite-table.ts';
import { noon } from '../core/samples.ts';
import { openTable } from '../store/store-world.ts';

let table: SqliteTable;
let now: EpochMs;
let queue: WorkQueue;
let dead: WorkQueue;
beforeEach(() => {
  table = openTable();
  now = noon;
  const settings = { visibilitySec: 60, receivesMax: 3, retentionSec: 86_400 };
  const open = (name: string, deadLetter: string | null) =>
    openSqliteWorkQueue({ source: table.database, name, settings, now: () => now, deadLetter });
  queue = open('events', 'events-dead');
  dead = open('events-dead', null);
});
afterEach(() => table.close());

const idOf = (n: number) => `evt_${String(n).padStart(8, '0')}`;
const send = (...ns: number[]) =>
  queue.send(ns.map((n) => toMessage({ kind: 'event', id: idOf(n), correlationId: 'c' }, `sim-${n}`)));

function source(work: (id: string) => Promise<void>, atOnce = false): QueueSource {
  const handler: QueueSource['handler'] = (batch) =>
    handleWorkBatch(batch, { kind: 'event', atOnce, log: silentLog, work });
  return { name: 'events', queue, batchSize: 10, handler };
}

describe('one turn of a queue', () => {
  it('acknowledges what was handled and leaves what failed to come again', async () => {
    await send(1, 2, 3);
    const seen: string[] = [];
    const failing = source(async (id) => {
      seen.push(id);
      if (id === idOf(2)) throw new Error('store down');
    });
    expect(await pollOnce(failing)).toBe(3);
    expect(seen.sort()).toEqual([idOf(1), idOf(2), idOf(3)]);
    expect(await queue.depth()).toEqual({ visible: 0, inFlight: 1 });
    now = after(now, seconds(60));
    expect(await pollOnce(source(async () => undefined))).toBe(1);
    expect(await queue.depth()).toEqual({ visible: 0, inFlight: 0 });
  });

  it('lets a poison message go to the dead-letter queue, and never holds up the others', async () => {
    const text = (body: string) => ({ body, groupId: 'poison', delaySec: 0 });
    await queue.send([
      text('not json'),
      text('{"v":2}'),
      text(JSON.stringify({ v: 1, kind: 'action', id: 'act_00000001', correlationId: 'c' })),
    ]);
    await send(1);
    const handled: string[] = [];
    for (let turn = 0; turn < 5; turn++) {
      await pollOnce(source(async (id) => void handled.push(id)));
      now = after(now, seconds(61));
    }
    expect(handled).toEqual([idOf(1)]);
    expect(await queue.depth()).toEqual({ visible: 0, inFlight: 0 });
    expect(await dead.depth()).toEqual({ visible: 3, inFlight: 0 });
  });

  it('names each record that failed, by its message id', async () => {
    const records = ['a', 'b'].map((messageId) => ({
      messageId,
      body: '{}',
      attributes: { ApproximateReceiveCount: '1' },
    }));
    const failures: string[] = [];
    const result = await handleEach(records, {
      atOnce: false,
      handle: async ({ messageId }) => {
        if (messageId === 'a') throw new Error('x');
      },
      onFailure: (record) => void failures.push(record.messageId),
    });
    expect(result).toEqual({ batchItemFailures: [{ itemIdentifier: 'a' }] });
    expect(failures).toEqual(['a']);
  });
});

describe('a batch that is worked on at once', () => {
  it('begins each message before the first is done, and hands back only the one that failed', async () => {
    await send(1, 2, 3);
    const begun: string[] = [];
    let go: () => void = () => undefined;
    const all = new Promise<void>((resolve) => {
      go = resolve;
    });
    const waiting = source(async (id) => {
      begun.push(id);
      if (begun.length === 3) go();
      await all;
      if (id === idOf(2)) throw new Error('provider down');
    }, true);
    expect(await pollOnce(waiting)).toBe(3);
    expect(begun.toSorted()).toEqual([idOf(1), idOf(2), idOf(3)]);
    expect(await queue.depth()).toEqual({ visible: 0, inFlight: 1 });
  });

  it.each([true, false])('does once what two messages name, at once or not: %s', async (atOnce) => {
    await send(1, 1, 2);
    const handled: string[] = [];
    await pollOnce(source(async (id) => void handled.push(id), atOnce));
    expect(handled.toSorted()).toEqual([idOf(1), idOf(2)]);
    expect(await queue.depth()).toEqual({ visible: 0, inFlight: 0 });
  });

  it('has both messages come again when what they name failed', async () => {
    await send(1, 1);
    await pollOnce(source(() => Promise.reject(new Error('store down')), true));
    expect(await queue.depth()).toEqual({ visible: 0, inFlight: 2 });
  });
});

describe('turns', () => {
  it('run one after the other, in order, and go on after one that failed', async () => {
    const inTurn = takeTurns();
    const steps: string[] = [];
    const work = (name: string) =>
      inTurn(async () => {
        steps.push(`${name} begins`);
        await Promise.resolve();
        if (name === 'b') throw new Error('lost');
        steps.push(`${name} ends`);
        return name;
      });
    const ends = await Promise.allSettled([work('a'), work('b'), work('c')]);
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(steps).toEqual(['a begins', 'a ends', 'b begins', 'c begins', 'c ends']);
  });
});

describe('a poller', () => {
  it('works when it is woken, survives a queue that fails, and ends after the batch in hand', async () => {
    const errors: unknown[] = [];
    let fail = true;
    let done: (id: string) => void = () => undefined;
    const handled = new Promise<string>((resolve) => {
      done = resolve;
    });
    const flaky: WorkQueue = {
      ...queue,
      receive: (max) => {
        if (!fail) return queue.receive(max);
        fail = false;
        return Promise.reject(new Error('queue down'));
      },
    };
    const poller = startPoller(
      { ...source(async (id) => done(id)), queue: flaky },
      { idleMs: 60_000, onError: (error) => void errors.push(error) },
    );
    await send(7);
    // The first poll failed and the poller idles for a minute, unless it is woken.
    const waker = setInterval(() => poller.wake(), 5);
    expect(await handled).toBe(idOf(7));
    clearInterval(waker);
    await poller.stop();
    expect(errors).toHaveLength(1);
    expect(await queue.depth()).toEqual({ visible: 0, inFlight: 0 });
  });
});
