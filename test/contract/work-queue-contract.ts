import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ReceivedMessage, WorkMessage, WorkQueue } from '../../shared/queue/work-queue.ts';

/** One queue with its dead-letter queue, both empty at the start of a test. */
export interface QueueBench {
  readonly queue: WorkQueue;
  readonly deadLetter: WorkQueue;
  /** Lets this much time pass: a test clock is advanced; an engine with its own clock is waited for. */
  pass(ms: number): Promise<void>;
  /** The queue's idea of now, to a second or so. */
  now(): number;
  close(): Promise<void>;
}

/** The queue of a bench is made with these. */
export const benchSettings = { visibilitySec: 1, receivesMax: 3, retentionSec: 3600 } as const;

/** A little over the visibility time-out. */
const overVisibilityMs = 1_100;

const message = (id: string, rest: Partial<WorkMessage> = {}): WorkMessage => ({
  body: JSON.stringify({ id }),
  groupId: 'g',
  delaySec: 0,
  ...rest,
});
const bodies = (messages: readonly ReceivedMessage[]): readonly string[] =>
  messages.map(({ body }) => body).toSorted();
const receipts = (messages: readonly ReceivedMessage[]): readonly string[] =>
  messages.map(({ receipt }) => receipt);

/** What every work queue must do. `makeBench` is called once a test. */
export function describeWorkQueue(name: string, makeBench: () => Promise<QueueBench>): void {
  describe(name, () => {
    const state: { bench: QueueBench | null } = { bench: null };
    beforeEach(async () => {
      state.bench = await makeBench();
    });
    afterEach(async () => {
      await state.bench?.close();
      state.bench = null;
    });
    const bench = (): QueueBench => {
      if (state.bench === null) throw new Error('the bench was not made');
      return state.bench;
    };
    describeDelivery(bench);
    describeRedelivery(bench);
    describeDeadLetters(bench);
    describeMisuse(bench);
  });
}

function describeDelivery(bench: () => QueueBench): void {
  it('delivers a message with its body, receive count 1 and the time at which it was sent', async () => {
    const { queue } = bench();
    await queue.send([message('one', { groupId: 'linksfield-csss:8944538532008160222' })]);
    const received = await queue.receive(10);
    expect(received).toHaveLength(1);
    expect(received[0]).toMatchObject({ body: '{"id":"one"}', receiveCount: 1 });
    // Not every engine hands the group back.
    expect([null, 'linksfield-csss:8944538532008160222']).toContain(received[0]?.groupId);
    expect(Math.abs((received[0]?.sentAtMs ?? 0) - bench().now())).toBeLessThan(5_000);
    expect(received[0]?.messageId).not.toBe('');
  });

  it('delivers nothing from an empty queue', async () => {
    expect(await bench().queue.receive(10)).toEqual([]);
  });

  it('takes a batch of 10 and delivers each message once', async () => {
    const { queue } = bench();
    const ids = Array.from({ length: 10 }, (_, n) => `m${n}`);
    await queue.send(ids.map((id) => message(id, { groupId: `g${id}` })));
    const received = await queue.receive(10);
    expect(bodies(received)).toEqual(ids.map((id) => JSON.stringify({ id })).toSorted());
    expect(new Set(received.map(({ messageId }) => messageId)).size).toBe(10);
    expect(await queue.receive(10)).toEqual([]);
  });

  it('delivers two equal messages as two', async () => {
    const { queue } = bench();
    await queue.send([message('same'), message('same')]);
    expect(await queue.receive(10)).toHaveLength(2);
  });

  it('delivers no more than it was asked for', async () => {
    const { queue } = bench();
    await queue.send([message('a'), message('b'), message('c')]);
    const first = await queue.receive(2);
    const second = await queue.receive(2);
    expect([first.length, second.length]).toEqual([2, 1]);
    expect(new Set([...bodies(first), ...bodies(second)]).size).toBe(3);
  });

  it('hands a message to one of two receivers', async () => {
    const { queue } = bench();
    await queue.send([message('one')]);
    const both = await Promise.all([queue.receive(1), queue.receive(1)]);
    expect(both.flat()).toHaveLength(1);
  });

  it('keeps text in other scripts', async () => {
    const { queue } = bench();
    const body = JSON.stringify({ id: 'žluťoučký 漢字 \t\n' });
    await queue.send([message('x', { body })]);
    expect((await queue.receive(1))[0]?.body).toBe(body);
  });

  it('holds a delayed message back until its time has come', async () => {
    const { queue, pass } = bench();
    await queue.send([message('late', { delaySec: 2 }), message('now')]);
    expect(bodies(await queue.receive(10))).toEqual(['{"id":"now"}']);
    await pass(2_100);
    expect(bodies(await queue.receive(10))).toContain('{"id":"late"}');
  });

  it('counts visible and hidden messages', async () => {
    const { queue } = bench();
    expect(await queue.depth()).toEqual({ visible: 0, inFlight: 0 });
    await queue.send([message('a'), message('b'), message('c'), message('later', { delaySec: 60 })]);
    expect(await queue.depth()).toEqual({ visible: 3, inFlight: 1 });
    const received = await queue.receive(2);
    expect(await queue.depth()).toEqual({ visible: 1, inFlight: 3 });
    await queue.acknowledge(receipts(received));
    expect(await queue.depth()).toEqual({ visible: 1, inFlight: 1 });
  });
}

function describeRedelivery(bench: () => QueueBench): void {
  it('delivers again, with the next receive count, when the visibility time-out has passed', async () => {
    const { queue, pass } = bench();
    await queue.send([message('one')]);
    const first = await queue.receive(1);
    expect(await queue.receive(1)).toEqual([]);
    await pass(overVisibilityMs);
    const second = await queue.receive(1);
    expect(second[0]).toMatchObject({ body: '{"id":"one"}', receiveCount: 2 });
    expect(second[0]?.messageId).toBe(first[0]?.messageId);
    expect(second[0]?.sentAtMs).toBe(first[0]?.sentAtMs);
  });

  it('never delivers an acknowledged message again', async () => {
    const { queue, pass } = bench();
    await queue.send([message('done'), message('open')]);
    const received = await queue.receive(10);
    await queue.acknowledge(
      received.filter(({ body }) => body.includes('done')).map(({ receipt }) => receipt),
    );
    await pass(overVisibilityMs);
    expect(bodies(await queue.receive(10))).toEqual(['{"id":"open"}']);
  });

  it('takes a second acknowledgement, none at all, and 25 at once', async () => {
    const { queue } = bench();
    for (let batch = 0; batch < 3; batch++) {
      await queue.send(Array.from({ length: 10 }, (_, n) => message(`m${batch}-${n}`)));
    }
    const received = [
      ...(await queue.receive(10)),
      ...(await queue.receive(10)),
      ...(await queue.receive(10)),
    ];
    await queue.acknowledge(receipts(received.slice(0, 25)));
    await queue.acknowledge(receipts(received.slice(0, 5)));
    await queue.acknowledge([]);
    expect(await queue.depth()).toEqual({ visible: 0, inFlight: 5 });
  });

  it('ignores a late acknowledgement of a message that was delivered again', async () => {
    const { queue, pass } = bench();
    await queue.send([message('one')]);
    const late = await queue.receive(1);
    await pass(overVisibilityMs);
    const again = await queue.receive(1);
    expect(again).toHaveLength(1);
    await queue.acknowledge(receipts(late));
    await pass(overVisibilityMs);
    expect(await queue.receive(1)).toHaveLength(1);
  });

  it('shows released messages again at once, and not one whose receipt has run out', async () => {
    const { queue, pass } = bench();
    await queue.send([message('one'), message('two')]);
    const received = await queue.receive(10);
    await queue.release(receipts(received));
    const again = await queue.receive(10);
    expect(bodies(again).toSorted()).toEqual(['{"id":"one"}', '{"id":"two"}']);
    expect(again.map(({ receiveCount }) => receiveCount)).toEqual([2, 2]);
    await queue.acknowledge(receipts(again));
    await queue.release(receipts(again));
    await queue.release([]);
    await pass(overVisibilityMs);
    expect(await queue.receive(10)).toEqual([]);
  });

  it('ignores a receipt that it never gave out', async () => {
    const { queue } = bench();
    await queue.send([message('one')]);
    await queue.acknowledge(['c7f1a9de-0000-4000-8000-000000000000']);
    expect(await queue.receive(1)).toHaveLength(1);
  });
}

function describeDeadLetters(bench: () => QueueBench): void {
  it('moves a poison message to the dead-letter queue after 3 deliveries, while others flow', async () => {
    const { queue, deadLetter, pass } = bench();
    await queue.send([message('poison')]);
    const counts: number[] = [];
    const healthy: string[] = [];
    for (let round = 1; round <= 4; round++) {
      await queue.send([message(`healthy${round}`)]);
      for (const received of await queue.receive(10)) {
        if (received.body.includes('poison')) {
          counts.push(received.receiveCount);
        } else {
          healthy.push(received.body);
          await queue.acknowledge([received.receipt]);
        }
      }
      await pass(overVisibilityMs);
    }
    await queue.receive(10);
    expect(counts).toEqual([1, 2, 3]);
    expect(healthy).toHaveLength(4);
    expect(await queue.depth()).toEqual({ visible: 0, inFlight: 0 });
    const dead = await deadLetter.receive(10);
    expect(bodies(dead)).toEqual(['{"id":"poison"}']);
    await deadLetter.acknowledge(receipts(dead));
    expect(await deadLetter.depth()).toEqual({ visible: 0, inFlight: 0 });
  });

  it('keeps the time at which a dead letter was first sent', async () => {
    const { queue, deadLetter, pass } = bench();
    await queue.send([message('poison')]);
    const first = await queue.receive(1);
    for (let round = 0; round < 3; round++) {
      await pass(overVisibilityMs);
      await queue.receive(1);
    }
    const dead = await deadLetter.receive(1);
    expect(dead[0]?.sentAtMs).toBe(first[0]?.sentAtMs);
  });
}

function describeMisuse(bench: () => QueueBench): void {
  it.each<readonly [string, readonly WorkMessage[]]>([
    ['no message', []],
    ['11 messages', Array.from({ length: 11 }, () => message('x'))],
    ['an emoji in a body', [message('x', { body: '{"id":"🛰"}' })]],
    ['an empty body', [message('x', { body: '' })]],
    ['a zero byte in a body', [message('x', { body: 'a\u0000' })]],
    ['a body above 256 KiB', [message('x', { body: 'x'.repeat(256 * 1024 + 1) })]],
    [
      '10 bodies above 256 KiB together',
      Array.from({ length: 10 }, () => message('x', { body: 'x'.repeat(26_500) })),
    ],
    ['an empty group', [message('x', { groupId: '' })]],
    ['a group with a space', [message('x', { groupId: 'a b' })]],
    ['a delay above 900 s', [message('x', { delaySec: 901 })]],
    ['a fraction of a second', [message('x', { delaySec: 0.5 })]],
  ])('refuses %s', async (_name, messages) => {
    const { queue } = bench();
    await expect(queue.send(messages)).rejects.toThrow(RangeError);
    expect(await queue.depth()).toEqual({ visible: 0, inFlight: 0 });
  });

  it.each([0, 11, 1.5])('refuses to receive %s messages', async (max) => {
    await expect(bench().queue.receive(max)).rejects.toThrow(RangeError);
  });
}

export interface Retentions {
  readonly retentionSec: number;
  readonly deadRetentionSec: number;
}

/** What the engines in this repository do beyond the port, so that one machine behaves as AWS does at length. */
export function describeEmbeddedWorkQueue(
  name: string,
  makeBench: (retentions: Retentions) => Promise<QueueBench>,
): void {
  describe(name, () => {
    const open = (rest: Partial<Retentions> = {}): Promise<QueueBench> =>
      makeBench({
        retentionSec: benchSettings.retentionSec,
        deadRetentionSec: benchSettings.retentionSec,
        ...rest,
      });

    it('gives a quiet SIM its turn before the backlog of a noisy one', async () => {
      const { queue, close } = await open();
      for (let n = 0; n < 20; n++) {
        const batch = Array.from({ length: 10 }, (_, k) => `noisy${n * 10 + k}`);
        await queue.send(batch.map((id) => message(id, { groupId: 'noisy' })));
      }
      await queue.receive(3);
      await queue.send([message('quiet', { groupId: 'quiet' })]);
      expect(bodies(await queue.receive(3))).toContain('{"id":"quiet"}');
      await close();
    });

    it('hands back the group of a message', async () => {
      const { queue, close } = await open();
      await queue.send([message('a', { groupId: 'eiotclub:894450' })]);
      expect((await queue.receive(1))[0]?.groupId).toBe('eiotclub:894450');
      await close();
    });

    it('forgets messages older than the retention', async () => {
      const { queue, pass, close } = await open({ retentionSec: 60 });
      await queue.send([message('old')]);
      await pass(59_000);
      await queue.send([message('young')]);
      await pass(2_000);
      expect(bodies(await queue.receive(10))).toEqual(['{"id":"young"}']);
      expect(await queue.depth()).toEqual({ visible: 0, inFlight: 1 });
      await close();
    });

    it('counts the retention of a dead letter from the moment it was first sent', async () => {
      const { queue, deadLetter, pass, close } = await open({ deadRetentionSec: 100 });
      await queue.send([message('poison')]);
      for (let round = 0; round < 4; round++) {
        await queue.receive(1);
        await pass(20_000);
      }
      expect(await deadLetter.receive(1)).toHaveLength(1);
      await pass(21_000);
      expect(await deadLetter.receive(1)).toEqual([]);
      await close();
    });

    it('ignores the receipt of a message that is visible again', async () => {
      const { queue, pass, close } = await open();
      await queue.send([message('a')]);
      const late = await queue.receive(1);
      await pass(overVisibilityMs);
      await queue.acknowledge(receipts(late));
      expect(await queue.receive(1)).toHaveLength(1);
      await close();
    });

    it('delivers a message once more, not twice, that was released and received again in one moment', async () => {
      const { queue, deadLetter, pass, close } = await open();
      await queue.send([message('a'), message('b')]);
      await queue.release(receipts(await queue.receive(10)));
      expect(await queue.receive(10)).toHaveLength(2);
      await pass(overVisibilityMs);
      expect(bodies(await queue.receive(10))).toEqual(['{"id":"a"}', '{"id":"b"}']);
      expect(await queue.depth()).toEqual({ visible: 0, inFlight: 2 });
      expect(await deadLetter.receive(10)).toEqual([]);
      await close();
    });
  });
}
