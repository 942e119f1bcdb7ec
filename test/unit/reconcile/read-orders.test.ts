import { describe, expect, it } from 'vitest';
import { type ListResult, type OrderReader, readOrders } from '../../../functions/reconcile/read-orders.ts';
import { ordersMax } from '../../../shared/core/reconcile.ts';
import { type DurationMs, hours, milliseconds, seconds } from '../../../shared/core/time.ts';
import type { OrderPage } from '../../../shared/providers/provider.ts';
import { subject } from '../core/samples.ts';
import { order } from './books.ts';

const pace = milliseconds(200);
const page = (ids: readonly string[], nextCursor: string | null): OrderPage => ({
  kind: 'page',
  orders: ids.map((id) => order(id)),
  nextCursor,
});
const refused = (code: string, retryAfter: DurationMs | null = null): OrderPage => ({
  kind: 'unavailable',
  code,
  message: '',
  retryAfter,
});

/** A reader over answers that are given one after the other; the run is over after `questionsMax`. */
function reading(answers: readonly OrderPage[], questionsMax = 100) {
  const waits: number[] = [];
  const cursors: (string | null)[] = [];
  const reader: OrderReader = {
    client: {
      listOrders: async (_, cursor) => {
        cursors.push(cursor);
        const answer = answers[cursors.length - 1];
        if (answer === undefined) throw new Error('one question too many');
        return answer;
      },
    },
    pace,
    wait: async (span) => void waits.push(span),
    isOver: () => cursors.length >= questionsMax,
    asked: () => undefined,
  };
  const ids = (result: ListResult) =>
    result.kind === 'read' ? result.orders.map(({ orderId }) => orderId) : result;
  return { reader, waits, cursors, ids };
}

describe('reading a list of orders', () => {
  it('asks for page after page, waiting between', async () => {
    const { reader, waits, cursors, ids } = reading([page(['1', '2'], 'b'), page(['2', '3'], null)]);
    const result = await readOrders(subject(), null, reader);
    expect(ids(result)).toEqual(['1', '2', '3']);
    expect(result).toMatchObject({ whole: true });
    expect(cursors).toEqual([null, 'b']);
    expect(waits).toEqual([200, 200]);
  });

  it('waits as long as it is asked to and tries again, a few times', async () => {
    const busy = refused('not-admitted', seconds(2));
    const { reader, waits, ids } = reading([busy, busy, page(['1'], null)]);
    expect(ids(await readOrders(subject(), null, reader))).toEqual(['1']);
    expect(waits).toEqual([2_000, 2_000, 200]);
    const never = reading([busy, busy, busy, busy]);
    expect(await readOrders(subject(), null, never.reader)).toMatchObject({ kind: 'unavailable' });
  });

  it('does not wait for hours, nor repeat a question that has no time to come back at', async () => {
    for (const answer of [refused('not-admitted', hours(5)), refused('deadline')]) {
      const { reader, cursors } = reading([answer]);
      expect(await readOrders(subject(), null, reader)).toMatchObject({ kind: 'unavailable' });
      expect(cursors).toHaveLength(1);
    }
  });

  it('tells a provider without a list, and a SIM that can not be asked about, from trouble', async () => {
    const result = (code: string) => readOrders(subject(), null, reading([refused(code)]).reader);
    expect((await result('no-order-list')).kind).toBe('no-list');
    expect((await result('not-an-iccid')).kind).toBe('unaskable');
    expect((await result('cannot-tell')).kind).toBe('unaskable');
    expect((await result('unreadable-records')).kind).toBe('unavailable');
  });

  it('keeps what it read when its time is over between two pages, and goes on from there', async () => {
    const cut = reading([page(['1', '2'], 'b')], 1);
    const result = await readOrders(subject(), null, cut.reader);
    if (result.kind !== 'interrupted' || result.partial === null) throw new Error(`it was ${result.kind}`);
    expect(result.partial.nextCursor).toBe('b');
    const rest = reading([page(['3'], null)]);
    expect(rest.ids(await readOrders(subject(), result.partial, rest.reader))).toEqual(['1', '2', '3']);
    expect(rest.cursors).toEqual(['b']);
  });

  it('calls a list that does not end, or is too long, cut off', async () => {
    const stuck = reading([page(['1'], 'b'), page(['1'], 'b')]);
    expect(await readOrders(subject(), null, stuck.reader)).toMatchObject({ kind: 'read', whole: false });
    const many = Array.from({ length: ordersMax + 5 }, (_, i) => String(i));
    const long = reading([page(many, 'b')]);
    const result = await readOrders(subject(), null, long.reader);
    expect(result).toMatchObject({ kind: 'read', whole: false });
    expect(long.ids(result)).toHaveLength(ordersMax);
  });
});
