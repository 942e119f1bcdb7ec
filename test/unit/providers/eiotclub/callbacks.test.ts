import { describe, expect, it } from 'vitest';
import { days, epochMs, minutes } from '../../../../shared/core/time.ts';
import { callbackOf } from '../../../../shared/providers/callback.ts';
import { callbacks } from '../../../../shared/providers/eiotclub/eiotclub-callbacks.ts';
import type { CallbackFact, NamedSecret } from '../../../../shared/providers/provider.ts';
import { Secret } from '../../../../shared/signing/index.ts';
import { signByHand } from './sign-by-hand.ts';

const signedAtSec = 1_746_050_702;
const signedAt = epochMs(signedAtSec * 1_000);
const iccid = '89852000263320817044';
const secretText = 'test-secret-not-real';
const header = { id: '7bpDUV2P4oAGv37MBBHaAeJk', nonce: 90082, timestamp: signedAtSec, sign: 'A'.repeat(40) };

const bytes = (body: unknown): Uint8Array =>
  new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));
const sent = (body: unknown) => callbackOf(bytes(body), {});
const read = (body: unknown) => callbacks.read(sent(body), { currency: 'USD' });

function factsOf(body: unknown): readonly CallbackFact[] {
  const reading = read(body);
  if (!reading.ok) throw new Error(`refused: ${reading.reason}: ${reading.detail}`);
  return reading.facts;
}

function oneFact(body: unknown): CallbackFact {
  const [fact, ...others] = factsOf(body);
  if (fact === undefined || others.length > 0) throw new Error('expected exactly one fact');
  return fact;
}

const noOrder = { orderId: null, reference: null, packageCode: null };

describe('documented events', () => {
  const alert = (type: unknown) => ({
    ...header,
    event: 'FlowAlert',
    iccid,
    alert_type: type,
    alert_value: '98.5',
  });
  const pkg = { packageName: '1GB', packageCode: 'PKG1', orderId: 10004996, outTradeNo: 'abc' };
  const order = { orderId: '10004996', reference: 'abc', packageCode: 'PKG1' };
  const table: readonly [string, object, object, string | null][] = [
    [
      'FlowAlert 1',
      alert(1),
      { kind: 'usage-alert', alert: 'low-data', value: '98.5', order: noOrder },
      'iccid',
    ],
    ['FlowAlert 2', alert(2), { kind: 'usage-alert', alert: 'low-data-percent', value: '98.5' }, 'iccid'],
    ['FlowAlert 3 as text', alert('3'), { kind: 'usage-alert', alert: 'expiring' }, 'iccid'],
    ['FlowAlert of a new type', alert(4), { kind: 'usage-alert', alert: 'unknown' }, 'iccid'],
    ['FlowAlert with a broken type', alert({ a: 1 }), { kind: 'usage-alert', alert: 'unknown' }, 'iccid'],
    [
      'CloudESimFlowAlert',
      { ...header, event: 'CloudESimFlowAlert', eid: '89049032', alert_type: 1, alert_value: '1' },
      { kind: 'usage-alert', alert: 'low-data' },
      'eid',
    ],
    [
      'SubPkgList',
      { ...header, event: 'SubPkgList', data: [{ ...pkg, iccid }] },
      { kind: 'package-ordered', order },
      'iccid',
    ],
    [
      'CloudESimSubPkgList',
      { ...header, event: 'CloudESimSubPkgList', data: [{ ...pkg, eid: 'E1' }] },
      { kind: 'package-ordered', order },
      'eid',
    ],
    [
      'PkgEffective as an object',
      { ...header, event: 'PkgEffective', data: { ...pkg, iccid } },
      { kind: 'package-effective', order },
      'iccid',
    ],
    [
      'PkgEffective as an array',
      { ...header, event: 'PkgEffective', data: [{ ...pkg, iccid }] },
      { kind: 'package-effective', order },
      'iccid',
    ],
    [
      'CloudESimPkgActivate with the card in the root',
      { ...header, event: 'CloudESimPkgActivate', eid: 'E1', data: pkg },
      { kind: 'package-effective', order },
      'eid',
    ],
    [
      'PkgQuantityList',
      { ...header, event: 'PkgQuantityList', data: [{ iccid, orderId: 10004996 }] },
      { kind: 'package-stopped', order: { orderId: '10004996', reference: null, packageCode: null } },
      'iccid',
    ],
    ['CardStopped', { ...header, event: 'CardStopped', iccid }, { kind: 'card-stopped' }, 'iccid'],
    [
      'CloudESimCardStopped',
      { ...header, event: 'CloudESimCardStopped', eid: 'E1' },
      { kind: 'card-stopped' },
      'eid',
    ],
    [
      'CloudESimRefund',
      {
        ...header,
        event: 'CloudESimRefund',
        eid: 'E1',
        outTradeNo: 'abc',
        orderAmount: '12.30',
        refundAmount: '4.10',
        eshopOrderId: 77,
      },
      {
        kind: 'refund',
        order: { orderId: '77', reference: 'abc', packageCode: null },
        refunded: { amountMinor: 410, currency: 'USD' },
        refundedText: '4.10',
      },
      'eid',
    ],
    ['IMEIUnLock', { ...header, event: 'IMEIUnLock', iccid }, { kind: 'sim-unlocked' }, 'iccid'],
    ['CloudESimUnLock', { ...header, event: 'CloudESimUnLock', eid: 'E1' }, { kind: 'sim-unlocked' }, 'eid'],
    [
      'CardMovedInIMEIPool with its nonce as text',
      { ...header, nonce: '90082', event: 'CardMovedInIMEIPool', iccid, plockGroupId: 7 },
      { kind: 'sim-moved' },
      'iccid',
    ],
  ];

  it.each(table)('%s', (_, body, facts, idKind) => {
    const fact = oneFact(body);
    expect(fact.facts).toMatchObject(facts);
    expect(fact.subject?.idKind ?? null).toBe(idKind);
    expect(fact.occurredAt).toBe(signedAt);
    expect(fact.identityIsUnique).toBe(true);
    expect(fact.identity).not.toMatch(/A{40}|90082/);
    expect(fact).toMatchObject({ providerType: 'event' in body ? body.event : '' });
  });

  it('reads one fact per row, each with its own card', () => {
    const facts = factsOf({
      ...header,
      event: 'SubPkgList',
      data: [
        { iccid: '8988308650104486856', orderId: 1 },
        { iccid, orderId: 2 },
        'not a row',
        { iccid: 'short' },
      ],
    });
    expect(facts.map((fact) => fact.subject?.simId ?? null)).toEqual([
      '8988308650104486856',
      iccid,
      null,
      null,
    ]);
    expect(new Set(facts.map((fact) => fact.identity)).size).toBe(4);
    expect(facts.every((fact) => fact.facts.kind === 'package-ordered')).toBe(true);
  });
});

describe('numbers keep their digits', () => {
  it('reads a 19-digit ICCID and order id that were sent as numbers', () => {
    const fact = oneFact(
      '{"id":13,"event":"PkgQuantityList","timestamp":1746050702,"data":[{"iccid":8944538532008160222,"orderId":9007199254740993}]}',
    );
    expect(fact.subject?.simId).toBe('8944538532008160222');
    expect(fact.facts).toMatchObject({ order: { orderId: '9007199254740993' } });
  });

  it('reads money from its text and leaves what it cannot read exactly', () => {
    const refund = (amount: string, more = '') =>
      oneFact(`{"id":"r","event":"CloudESimRefund","eid":"E1","refundAmount":${amount}${more}}`).facts;
    expect(refund('225.35')).toMatchObject({ refunded: { amountMinor: 22_535, currency: 'USD' } });
    expect(refund('"500"', ',"currency":"jpy"')).toMatchObject({
      refunded: { amountMinor: 500, currency: 'JPY' },
    });
    expect(refund('"1.234"')).toMatchObject({ refunded: null, refundedText: '1.234' });
    expect(refund('-1')).toMatchObject({ refunded: null, refundedText: '-1' });
    expect(refund('null')).toMatchObject({ refunded: null, refundedText: null });
  });
});

describe('what we do not know is kept', () => {
  it.each([
    ['an unknown event', { ...header, event: 'CardExploded', iccid }, 'CardExploded'],
    ['a number as event', { ...header, event: 7 }, '7'],
    ['no event', { ...header, iccid }, '(no event name)'],
    ['an empty object', {}, '(no event name)'],
    ['an event named like an inherited member', { ...header, event: 'constructor' }, 'constructor'],
    ['an event named __proto__', { ...header, event: '__proto__' }, '__proto__'],
  ])('%s', (_, body, providerType) => {
    expect(oneFact(body)).toMatchObject({ facts: { kind: 'unknown' }, providerType });
  });

  it.each([
    ['no card', {}],
    ['a card that is no ICCID', { iccid: '123' }],
    ['a card as an object', { iccid: { a: 1 } }],
    ['an empty card', { iccid: '' }],
    ['an empty array as data', { data: [] }],
    ['a text as data', { data: 'x' }],
  ])('a known event with %s has no subject', (_, more) => {
    const fact = oneFact({ ...header, event: 'CardStopped', ...more });
    expect(fact).toMatchObject({ facts: { kind: 'card-stopped' }, subject: null });
  });

  it('sees own members only', () => {
    const fact = oneFact(`{"id":"1","event":"CardStopped","__proto__":{"iccid":"${iccid}"},"constructor":1}`);
    expect(fact.subject).toBeNull();
    expect(Object.hasOwn(Object.prototype, 'iccid')).toBe(false);
  });

  it.each([
    ['1746050702', signedAt],
    ['"1746050702"', signedAt],
    ['1746050702000', signedAt],
    ['174605070', null],
    ['-1', null],
    ['"soon"', null],
    ['1e9', null],
  ])('timestamp %s', (timestamp, occurredAt) => {
    expect(oneFact(`{"id":"1","event":"X","timestamp":${timestamp}}`).occurredAt).toBe(occurredAt);
  });
});

describe('what is refused', () => {
  it.each([
    ['no JSON', '{"event":', 'not-json'],
    ['nothing', '', 'not-json'],
    ['nesting without end', `{"a":${'['.repeat(100_000)}`, 'not-json'],
    ['balanced deep nesting', `{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`, 'not-json'],
    ['an array', '[{"event":"CardStopped"}]', 'not-an-object'],
    ['a text', '"CardStopped"', 'not-an-object'],
    ['null', 'null', 'not-an-object'],
    ['a member twice', `{"iccid":"1","iccid":"${iccid}"}`, 'duplicate-key'],
    ['a member twice in a row', '{"data":[{"orderId":1,"orderId":2}]}', 'duplicate-key'],
    ['501 rows', { ...header, event: 'SubPkgList', data: Array(501).fill({}) }, 'too-many-facts'],
  ])('%s', (_, body, reason) => {
    expect(read(body)).toMatchObject({ ok: false, reason });
  });

  it('bytes that are not UTF-8', () => {
    const body = Buffer.concat([Buffer.from('{"event":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    expect(callbacks.read(callbackOf(body, {}), { currency: 'USD' })).toMatchObject({
      ok: false,
      reason: 'not-json',
    });
  });

  it('500 rows are read', () => {
    expect(factsOf({ ...header, event: 'SubPkgList', data: Array(500).fill({}) })).toHaveLength(500);
  });
});

describe('identity', () => {
  const base = { ...header, event: 'CardStopped', iccid };
  const same = (a: unknown, b: unknown) => oneFact(a).identity === oneFact(b).identity;
  const { id: _id, ...withoutId } = base;
  const { timestamp: _timestamp, ...bare } = withoutId;

  it('is the same when the message is delivered again with another nonce, timestamp and signature', () => {
    expect(same(base, { ...base, nonce: 11111, timestamp: signedAtSec + 60, sign: 'B'.repeat(40) })).toBe(
      true,
    );
  });

  it('differs with the id and with the event', () => {
    expect(same(base, { ...base, id: 'other' })).toBe(false);
    expect(same(base, { ...base, event: 'IMEIUnLock' })).toBe(false);
  });

  it('is the same however a number is spelled as id', () => {
    const spelled = (id: string) => `{"id":${id},"event":"X"}`;
    expect(same(spelled('13'), spelled('13.0'))).toBe(true);
    expect(same(spelled('13'), spelled('1.3e1'))).toBe(true);
    expect(same(spelled('13'), spelled('"13"'))).toBe(true);
    expect(same(spelled('13'), spelled('14'))).toBe(false);
    expect(same(spelled('9007199254740993'), spelled('9007199254740992'))).toBe(false);
  });

  it('without an id is the content, without what the signature leaves out', () => {
    expect(same(withoutId, { ...withoutId, nonce: 11111, sign: 'B'.repeat(40) })).toBe(true);
    expect(
      same(withoutId, { ...withoutId, appkey: 'x', extra: null, more: '', list: [], none: {}, data: [] }),
    ).toBe(true);
    expect(same(withoutId, { ...withoutId, timestamp: signedAtSec + 1 })).toBe(false);
    expect(same(withoutId, { ...withoutId, iccid: '8988308650104486856' })).toBe(false);
    expect(oneFact(withoutId).identityIsUnique).toBe(true);
  });

  it('is not unique when neither id nor timestamp tells deliveries apart', () => {
    expect(oneFact(bare).identityIsUnique).toBe(false);
  });
});

describe('verification', () => {
  const keys: readonly NamedSecret[] = [
    { keyId: null, secret: new Secret('newer-key') },
    { keyId: null, secret: new Secret(secretText) },
  ];
  const options = {
    now: signedAt,
    variants: null as readonly string[] | null,
    maxAge: days(1),
    maxFuture: minutes(5),
  };
  const members = { id: 'evt-1', timestamp: signedAtSec, nonce: 90082, event: 'CardStopped', iccid };
  const good = { ...members, sign: signByHand(members, secretText) };
  const verify = (body: unknown, changed: Partial<typeof options> = {}) =>
    callbacks.verify(sent(body), keys, { ...options, ...changed });

  it('accepts a good signature by the older key and says which key it was', () => {
    expect(verify(good)).toMatchObject({ ok: true, keyIndex: 1, signedAtMs: signedAt });
  });

  it('accepts the vector that was signed by two other implementations', () => {
    const sign = '649196CD380AB4655AD7F3DA6EBFE714E36D6F48';
    const body = {
      id: 'evt-0001',
      timestamp: signedAtSec,
      nonce: 90082,
      event: 'FlowAlert',
      iccid,
      alert_type: 1,
      alert_value: '98.5',
      sign,
    };
    expect(verify(body)).toMatchObject({ ok: true });
  });

  it.each([
    ['another SIM', { ...good, iccid: '8988308650104486856' }, 'wrong-signature'],
    ['another id', { ...good, id: 'evt-2' }, 'wrong-signature'],
    ['no signature', members, 'missing-signature'],
    ['a number as signature', { ...good, sign: 7 }, 'malformed-signature'],
    ['a cut signature', { ...good, sign: good.sign.slice(1) }, 'malformed-signature'],
    ['no JSON', 'x', 'malformed-body'],
  ])('refuses %s', (_, body, reason) => {
    expect(verify(body)).toMatchObject({ ok: false, reason });
  });

  it('refuses a signature without a timestamp, since it could be replayed for ever', () => {
    const { timestamp: _, ...timeless } = members;
    const body = { ...timeless, sign: signByHand(timeless, secretText) };
    expect(verify(body)).toMatchObject({ ok: false, reason: 'malformed-timestamp' });
  });

  it('refuses a signature that is too old or from the future', () => {
    expect(verify(good, { now: epochMs(signedAt + days(1)) })).toMatchObject({ ok: true });
    expect(verify(good, { now: epochMs(signedAt + days(1) + 1_000) })).toMatchObject({
      ok: false,
      reason: 'stale-timestamp',
    });
    expect(verify(good, { now: epochMs(signedAt - minutes(6)) })).toMatchObject({
      ok: false,
      reason: 'future-timestamp',
    });
  });

  it('accepts only the variants that the stage names', () => {
    expect(verify(good, { variants: [] })).toMatchObject({ ok: false });
  });

  it('refuses everything without a key', () => {
    expect(callbacks.verify(sent(good), [], options)).toMatchObject({ ok: false, reason: 'no-secret' });
  });

  it('says unsigned only of a body that has no signature at all', () => {
    expect(callbacks.isUnsigned(sent(members))).toBe(true);
    expect(callbacks.isUnsigned(sent({ ...members, sign: '' }))).toBe(true);
    expect(callbacks.isUnsigned(sent({ ...members, sign: null }))).toBe(true);
    expect(callbacks.isUnsigned(sent({ ...members, sign: 'x' }))).toBe(false);
    expect(callbacks.isUnsigned(sent('[]'))).toBe(false);
    expect(callbacks.isUnsigned(sent('x'))).toBe(false);
  });
});
