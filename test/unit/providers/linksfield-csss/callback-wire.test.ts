import { describe, expect, test } from 'vitest';
import { readCsssCallback } from '../../../../shared/providers/linksfield-csss/callback-wire.ts';
import type { CallbackFact } from '../../../../shared/providers/provider.ts';

const iccid = '89852022018041800192';

function read(body: unknown): readonly CallbackFact[] {
  return readText(typeof body === 'string' ? body : JSON.stringify(body));
}

function readText(text: string): readonly CallbackFact[] {
  const reading = readCsssCallback(new TextEncoder().encode(text));
  if (!reading.ok) throw new Error(`expected facts, got ${reading.reason}: ${reading.detail}`);
  return reading.facts;
}

function readOne(body: unknown): CallbackFact {
  const [fact, ...more] = read(body);
  if (fact === undefined || more.length > 0) throw new Error(`expected one fact, got ${1 + more.length}`);
  return fact;
}

function refusal(body: string | Uint8Array): string {
  const reading = readCsssCallback(typeof body === 'string' ? new TextEncoder().encode(body) : body);
  return reading.ok ? 'accepted' : reading.reason;
}

describe('order status change', () => {
  // Source: protocols/linksfield.md, section 4 (E/api-42599706).
  test.each([
    ['1000', 'created'],
    ['1001', 'ended-early'],
    ['1002', 'cancelled'],
    ['1003', 'paused'],
    ['1004', 'restarted'],
    ['1005', 'started'],
    ['1006', 'unknown'],
    ['1007', 'started'],
    ['1008', 'expired'],
    ['1009', 'renewed'],
    ['1010', 'cycles-reduced'],
    ['1011', 'unknown'],
    ['1012', 'imsi-redownloaded'],
  ])('reads code %s as %s and keeps the code', (code, status) => {
    const fact = readOne({ device_id: iccid, order_id: 'ORDER_47452122261749760', status: code });
    expect(fact.facts).toEqual({
      kind: 'order-status',
      status,
      order: { orderId: 'ORDER_47452122261749760', reference: null, packageCode: null },
    });
    expect(fact.providerType).toBe(code);
    expect(fact.subject?.simId).toBe(iccid);
  });

  test.each(['status', 'code', 'order_status', 'orderStatus', 'event_type', 'eventType', 'type'])(
    'finds the code under %s, quoted or not',
    (name) => {
      const quoted = readText(`{"deviceId":"${iccid}","orderCode":"L1","${name}":"1008"}`)[0];
      const bare = readText(`{"deviceId":"${iccid}","orderCode":"L1","${name}":1008}`)[0];
      expect(quoted?.facts).toMatchObject({
        kind: 'order-status',
        status: 'expired',
        order: { orderId: 'L1' },
      });
      expect(bare).toEqual(quoted);
    },
  );

  test('gives no status when two codes contradict each other', () => {
    const fact = readOne({ device_id: iccid, order_id: 'L1', status: '1008', event_type: '1009' });
    expect(fact.facts).toMatchObject({ kind: 'order-status', status: 'unknown' });
    expect(fact.providerType).toBe('1008+1009');
  });

  test('ignores a second code that is not of this family', () => {
    const fact = readOne({ device_id: iccid, order_id: 'L1', status: '2', event_type: '1008' });
    expect(fact.facts).toMatchObject({ status: 'expired' });
  });

  test('names no order when two members name different ones', () => {
    const fact = readOne({ device_id: iccid, order_id: 'L1', orderCode: 'L2', status: '1008' });
    expect(fact.facts).toMatchObject({ order: { orderId: null } });
  });

  test('names no SIM when two members name different ones, and one SIM when both agree', () => {
    expect(readOne({ device_id: iccid, iccid: '89860012018111220455', status: '1008' }).subject).toBeNull();
    expect(readOne({ device_id: iccid, deviceId: iccid, status: '1008' }).subject?.simId).toBe(iccid);
  });

  test('falls back to the IMSI when no ICCID is readable', () => {
    const fact = readOne({ device_id: 'n/a', imsi: '454030123456789', status: '1008' });
    expect(fact.subject).toMatchObject({ idKind: 'imsi', simId: '454030123456789' });
  });

  test('keeps every digit of unquoted 19- and 20-digit numbers', () => {
    const fact = readText(
      '{"device_id":89852022018041800192,"order_id":8944538532008160222,"status":1008}',
    )[0];
    expect(fact?.subject?.simId).toBe('89852022018041800192');
    expect(fact?.facts).toMatchObject({ order: { orderId: '8944538532008160222' } });
  });
});

describe('SMS', () => {
  // Source: protocols/linksfield.md, section 4 (E/api-42599701), with the page's missing comma put in.
  const uplink = {
    partner_code: 'P123456',
    sim_id: '89860220190123456789',
    imsi: '4230001234567',
    message_type: 'Binary',
    text_message: '发送短信内容',
    received_at: '1642385160000',
  };

  test('reads the documented uplink', () => {
    const fact = readOne(uplink);
    expect(fact.facts).toEqual({ kind: 'sms-received', encoding: 'binary' });
    expect(fact.subject).toMatchObject({ idKind: 'iccid', simId: '89860220190123456789' });
    expect(fact.occurredAt).toBe(1_642_385_160_000);
    expect(fact.identityIsUnique).toBe(true);
    expect(fact.providerType).toBe('sms-uplink:Binary');
  });

  test.each([
    ['Text', 'text'],
    ['Flash', 'unknown'],
    [undefined, 'unknown'],
  ])('reads message_type %s as %s', (messageType, encoding) => {
    expect(readOne({ ...uplink, message_type: messageType }).facts).toEqual({
      kind: 'sms-received',
      encoding,
    });
  });

  test('reads a delivery report as delivered and not as a message', () => {
    const fact = readOne({ sim_id: iccid, text_message: 'hello', delivered_at: '1642385160000' });
    expect(fact.facts).toEqual({ kind: 'sms-delivered' });
  });

  test('never takes the text of a message for an order status', () => {
    const fact = readOne({ ...uplink, text_message: '{"status":"1008"}', type: '1008' });
    expect(fact.facts.kind).toBe('sms-received');
    // In the MD5's text, an SMS "&type=1008" and an empty SMS beside a member `type` look the same.
    expect(readOne({ ...uplink, message_type: '', text_message: '', type: '1008' }).facts.kind).toBe(
      'sms-received',
    );
  });
});

describe('plan reminder', () => {
  // Source: protocols/linksfield.md, section 4 (E/api-42599743).
  test('gives one fact a device', () => {
    const facts = read({
      devices: [
        { deviceId: iccid, expireTime: '2026-11-30 23:59:59', warningCode: '2' },
        { deviceId: '89860012018111220455', expireTime: '', warningCode: 1 },
      ],
    });
    expect(facts.map(({ facts: fact }) => fact)).toEqual([
      { kind: 'plan-reminder', warning: 'expiring', expiresAt: '2026-11-30 23:59:59' },
      { kind: 'plan-reminder', warning: 'no-plan', expiresAt: null },
    ]);
    expect(facts.map(({ subject }) => subject?.simId)).toEqual([iccid, '89860012018111220455']);
    expect(facts.map(({ identityIsUnique }) => identityIsUnique)).toEqual([true, false]);
  });

  test.each([
    ['1', 'no-plan'],
    ['2', 'expiring'],
    ['3', 'expired'],
    ['4', 'trial-used'],
    ['5', 'unknown'],
    ['constructor', 'unknown'],
  ])('reads warning code %s as %s', (warningCode, warning) => {
    const fact = readOne({ devices: [{ deviceId: iccid, expireTime: 'x', warningCode }] });
    expect(fact.facts).toMatchObject({ warning });
    expect(fact.providerType).toBe(`plan-reminder:${warningCode}`);
  });

  test('gives the same fact for the same row in next week’s list, whatever stands around it', () => {
    const row = { deviceId: iccid, expireTime: '2026-11-30 23:59:59', warningCode: '2' };
    const first = read({ devices: [row], sent: '1' })[0];
    const second = read({
      sent: '2',
      devices: [{ deviceId: '89860012018111220455', warningCode: '1' }, row],
    })[1];
    expect(second?.identity).toBe(first?.identity);
  });

  test('counts the same row twice in one list as one fact', () => {
    const row = { deviceId: iccid, warningCode: '1' };
    expect(read({ devices: [row, row] })).toHaveLength(1);
  });

  test('accepts 500 devices and refuses 501', () => {
    const devices = (count: number) =>
      JSON.stringify({ devices: Array.from({ length: count }, (_, i) => ({ deviceId: String(i) })) });
    expect(readText(devices(500))).toHaveLength(500);
    expect(refusal(devices(501))).toBe('too-many-facts');
  });

  test('keeps an empty or odd list as an unknown fact', () => {
    expect(readOne({ devices: [] }).facts).toEqual({ kind: 'unknown' });
    expect(readOne({ devices: ['x'] }).facts).toEqual({ kind: 'unknown' });
  });
});

describe('usage alert, recharge, unknown', () => {
  test.each([
    [{ flowUseRate: '75' }, 'low-data-percent', '75'],
    [{ high_flow_balance: '12.5' }, 'low-data', '12.5'],
    [{ orderUsedFlow: 30 }, 'unknown', '30'],
  ])('reads %j as usage alert %s', (members, alert, value) => {
    const fact = readOne({ device_id: iccid, order_code: 'L1', ...members });
    expect(fact.facts).toMatchObject({ kind: 'usage-alert', alert, value, order: { orderId: 'L1' } });
  });

  test('reads a recharge by its type or its members', () => {
    expect(readOne({ type: 'RECHARGE_SUCCESS', order_id: 'R1' })).toMatchObject({
      facts: { kind: 'recharge', order: { orderId: 'R1' } },
      providerType: 'RECHARGE_SUCCESS',
    });
    expect(readOne({ rechargeId: '1' }).facts.kind).toBe('recharge');
  });

  test.each([
    [{ event_type: 'BRAND_NEW', device_id: iccid }, 'BRAND_NEW'],
    [{ code: '2000' }, '2000'],
    [{}, 'unrecognised'],
    [{ status: { nested: '1008' } }, 'unrecognised'],
    [{ status: ['1008'] }, 'unrecognised'],
    [{ status: null }, 'unrecognised'],
    [{ status: 'x'.repeat(500) }, 'x'.repeat(64)],
  ])('keeps %j as an unknown fact', (body, providerType) => {
    expect(readOne(body)).toMatchObject({ facts: { kind: 'unknown' }, providerType });
  });

  test('reads each object of a list at the top', () => {
    const facts = read([
      { device_id: iccid, status: '1005' },
      { device_id: iccid, status: '1008' },
    ]);
    expect(facts.map(({ providerType }) => providerType)).toEqual(['1005', '1008']);
  });

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'takes a member named %s for nothing special',
    (name) => {
      const fact = readOne(`{"${name}":{"status":"1008","device_id":"${iccid}"}}`);
      expect(fact.facts).toEqual({ kind: 'unknown' });
      expect(fact.subject).toBeNull();
      expect(fact.identity).toContain(name);
      expect(Object.hasOwn(Object.prototype, 'status')).toBe(false);
    },
  );
});

describe('identity', () => {
  // Found in review: a captured callback could be resent as a new one, since its signature still fitted.
  test.each([
    ['a null member', { a: null }],
    ['an empty member', { b: '' }],
  ])('is the same with %s more, which no signature covers', (_name, more) => {
    const body = { device_id: iccid, order_id: 'O1', status: '1008' };
    expect(readOne({ ...body, ...more }).identity).toBe(readOne(body).identity);
  });

  test('is the same for a number and its digits in quotes, which share a signature', () => {
    const text = (status: string) => `{"device_id":"${iccid}","order_id":"O1","status":${status}}`;
    expect(readOne(text('1008')).identity).toBe(readOne(text('"1008"')).identity);
  });

  test('is the same for a row alone and the row wrapped in devices', () => {
    const device = { deviceId: iccid, expireTime: '2026-11-22 00:00:00', warningCode: '3' };
    expect(readOne({ devices: [device] }).identity).toBe(readOne(device).identity);
  });

  const body = { device_id: iccid, order_id: 'L1', status: '1008' };

  test('is the content, without signature and nonce and whatever the order of members', () => {
    const one = readOne(body);
    const two = readOne({ nonce: '7', sign: 'abc', status: '1008', order_id: 'L1', device_id: iccid });
    expect(two.identity).toBe(one.identity);
    expect(one.identity).not.toContain('nonce');
  });

  test('differs for another order, another code and another time', () => {
    const identities = [
      body,
      { ...body, order_id: 'L2' },
      { ...body, status: '1009' },
      { ...body, event_time: '1642385160000' },
      { ...body, event_time: '1642385160001' },
    ].map((each) => readOne(each).identity);
    expect(new Set(identities).size).toBe(identities.length);
  });

  test('is unique only with a time in the content', () => {
    expect(readOne(body).identityIsUnique).toBe(false);
    expect(readOne({ ...body, event_time: '2026-11-22 10:00:00' }).identityIsUnique).toBe(true);
  });

  test.each([
    ['1642385160000', 1_642_385_160_000],
    ['1642385160', 1_642_385_160_000],
    ['2026-11-22 10:00:00', null],
    ['20261122100000', null],
    ['', null],
  ])('places the time %s at %s', (event_time, at) => {
    expect(readOne({ ...body, event_time }).occurredAt).toBe(at);
  });
});

describe('bodies that are refused', () => {
  test.each([
    ['', 'not-json'],
    ['{', 'not-json'],
    ['{"a":1}x', 'not-json'],
    ["{'a':1}", 'not-json'],
    ['a=1&b=2', 'not-json'],
    [`${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'not-json'],
    [`{"a":${'['.repeat(40)}${']'.repeat(40)}}`, 'not-json'],
    ['null', 'not-an-object'],
    ['"1008"', 'not-an-object'],
    ['1008', 'not-an-object'],
    ['[]', 'not-an-object'],
    ['[1]', 'not-an-object'],
    ['{"status":"1008","status":"1009"}', 'duplicate-key'],
    ['{"status":"1008","st\\u0061tus":"1009"}', 'duplicate-key'],
    ['{"devices":[{"deviceId":"1","deviceId":"2"}]}', 'duplicate-key'],
  ])('refuses %.40s as %s', (body, reason) => {
    expect(refusal(body)).toBe(reason);
  });

  test('refuses bytes that are not UTF-8', () => {
    expect(refusal(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d))).toBe('not-json');
  });

  test('accepts the same name in two objects, and braces and colons inside texts', () => {
    expect(refusal('{"a":{"x":"}:{\\"x\\":"},"b":{"x":"x"},"c":[{"x":1},{"x":1}]}')).toBe('accepted');
  });
});
