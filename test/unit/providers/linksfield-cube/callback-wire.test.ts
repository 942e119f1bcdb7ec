import { describe, expect, test } from 'vitest';
import { readCubeNotification } from '../../../../shared/providers/linksfield-cube/callback-wire.ts';
import type { CallbackFact } from '../../../../shared/providers/provider.ts';

const iccid = '89852022018041800192';

function read(body: unknown): readonly CallbackFact[] {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const reading = readCubeNotification(new TextEncoder().encode(text));
  if (!reading.ok) throw new Error(`expected facts, got ${reading.reason}: ${reading.detail}`);
  return reading.facts;
}

function readOne(body: unknown): CallbackFact {
  const [fact, ...more] = read(body);
  if (fact === undefined || more.length > 0) throw new Error(`expected one fact, got ${1 + more.length}`);
  return fact;
}

function refusal(body: string): string {
  const reading = readCubeNotification(new TextEncoder().encode(body));
  return reading.ok ? 'accepted' : reading.reason;
}

describe('what a Cube notification says', () => {
  const order = { orderId: null, reference: null, packageCode: null };
  test.each([
    [
      { event: 'Activate', request_id: 'R1', sim_id: iccid, status: 'success' },
      { kind: 'async-result', requestId: 'R1', operation: 'Activate', result: 'success' },
    ],
    [
      { type: 'async_api_callback', data: { requestId: 'R2', action: 'Suspend v2', code: 'CB-00-0000' } },
      { kind: 'async-result', requestId: 'R2', operation: 'Suspend v2', result: 'CB-00-0000' },
    ],
    [
      { type: 'recharge_success', order_id: 'O1' },
      { kind: 'recharge', order: { ...order, orderId: 'O1' } },
    ],
    [{ event: 'Topup success' }, { kind: 'recharge', order }],
    [
      { type: 'renew_order_result', order_id: 'OL-1', status: 1 },
      { kind: 'order-status', status: 'unknown', order: { ...order, orderId: 'OL-1' } },
    ],
    [
      { event: 'usage_threshold', percent: 80 },
      { kind: 'usage-alert', alert: 'low-data-percent', value: '80', order },
    ],
    [
      { event: 'usage_threshold', remaining: '10' },
      { kind: 'usage-alert', alert: 'low-data', value: '10', order },
    ],
    [{ event: 'usage_threshold' }, { kind: 'usage-alert', alert: 'unknown', value: null, order }],
    [
      { event: 'sim_status', status: 40 },
      { kind: 'sim-status', status: '40' },
    ],
    [
      { new_status: '23', sim_id: iccid },
      { kind: 'sim-status', status: '23' },
    ],
    [{ event: 'sms_delivery_report' }, { kind: 'sms-delivered' }],
    [
      { text_message: 'renew usage 40', sim_id: iccid },
      { kind: 'sms-received', encoding: 'unknown' },
    ],
    [{ event: 'BRAND_NEW' }, { kind: 'unknown' }],
    [{}, { kind: 'unknown' }],
    [{ event: { nested: 'usage' } }, { kind: 'unknown' }],
  ])('reads %j', (body, facts) => {
    expect(readOne(body).facts).toEqual(facts);
  });

  test('keeps the provider’s own name, short and never empty', () => {
    expect(readOne({ event: 'BRAND_NEW' }).providerType).toBe('BRAND_NEW');
    expect(readOne({ event: 'x'.repeat(500) }).providerType).toHaveLength(64);
    expect(readOne({}).providerType).toBe('unrecognised');
    expect(readOne({ request_id: '1' }).providerType).toBe('async-result');
  });

  test('finds the SIM outside and inside data, with every digit of a bare number', () => {
    expect(readOne(`{"event":"x","data":{"sim_id":${iccid}}}`).subject?.simId).toBe(iccid);
    expect(readOne(`{"event":"x","iccid":8944538532008160222}`).subject?.simId).toBe('8944538532008160222');
    expect(readOne({ imsi: '454030123456789' }).subject).toMatchObject({ idKind: 'imsi' });
  });

  test('names no SIM and no order when two members disagree', () => {
    const fact = readOne({
      type: 'renew',
      sim_id: iccid,
      order_id: 'OL-1',
      data: { sim_id: '89860012018111220455', order_id: 'OL-2' },
    });
    expect(fact.subject).toBeNull();
    expect(fact.facts).toMatchObject({ order: { orderId: null } });
  });

  test('gives one fact for each object of data and for each of sim_ids', () => {
    const other = '89860012018111220455';
    const listed = read({
      event: 'sim_status',
      data: [
        { sim_id: iccid, status: 40 },
        { sim_id: other, status: 23 },
      ],
    });
    expect(listed.map(({ facts }) => facts)).toEqual([
      { kind: 'sim-status', status: '40' },
      { kind: 'sim-status', status: '23' },
    ]);
    const sims = read({ event: 'usage_threshold', data: { sim_ids: [iccid, other] } });
    expect(sims.map(({ subject }) => subject?.simId)).toEqual([iccid, other]);
    expect(new Set(sims.map(({ identity }) => identity)).size).toBe(2);
  });

  test('accepts 500 facts, refuses 501, and counts equal ones once', () => {
    const list = (count: number) => ({ data: Array.from({ length: count }, (_, i) => ({ n: i })) });
    expect(read(list(500))).toHaveLength(500);
    expect(refusal(JSON.stringify(list(501)))).toBe('too-many-facts');
    expect(read({ data: [{ n: 1 }, { n: 1 }] })).toHaveLength(1);
  });

  test.each(['__proto__', 'constructor', 'hasOwnProperty'])(
    'takes a member named %s for nothing special',
    (name) => {
      const fact = readOne(`{"${name}":{"sim_id":"${iccid}","event":"sim_status"},"data":{"${name}":"x"}}`);
      expect(fact).toMatchObject({ facts: { kind: 'unknown' }, subject: null });
      expect(fact.identity).toContain(name);
      expect(Object.hasOwn(Object.prototype, 'sim_id')).toBe(false);
    },
  );

  test.each([
    ['', 'not-json'],
    ['{"a":1', 'not-json'],
    ['[]', 'not-an-object'],
    ['"x"', 'not-an-object'],
    ['{"event":"a","event":"b"}', 'duplicate-key'],
    ['{"data":{"sim_id":"1","sim_id":"2"}}', 'duplicate-key'],
  ])('refuses %s as %s', (body, reason) => {
    expect(refusal(body)).toBe(reason);
  });
});

describe('identity of a Cube notification', () => {
  const body = { event: 'sim_status', data: { sim_id: iccid, status: 40, created_at: 1_683_524_066_000 } };

  test('is the same when the console sends it again under a new transaction id', () => {
    const again = { transaction_id: 'T2', ...body };
    expect(readOne(again).identity).toBe(readOne({ ...body, transaction_id: 'T1' }).identity);
    const inner = {
      event: 'sim_status',
      data: { created_at: 1_683_524_066_000, status: 40, sim_id: iccid, nonce: 1 },
    };
    expect(readOne(inner).identity).toBe(readOne(body).identity);
  });

  test('differs by content, and is unique only with a time', () => {
    const later = { ...body, data: { ...body.data, created_at: 1_683_524_066_001 } };
    expect(readOne(later).identity).not.toBe(readOne(body).identity);
    expect(readOne(body)).toMatchObject({ identityIsUnique: true, occurredAt: 1_683_524_066_000 });
    expect(readOne({ event: 'sim_status', status: 40 })).toMatchObject({
      identityIsUnique: false,
      occurredAt: null,
    });
    expect(readOne({ event: 'x', time: '2026-11-22 10:00' })).toMatchObject({
      identityIsUnique: true,
      occurredAt: null,
    });
  });
});
