import { describe, expect, test } from 'vitest';
import type { ActionKind, Json } from '../../../../shared/core/action.ts';
import { type Subject, subjectOf } from '../../../../shared/core/subject.ts';
import { epochMs, hours } from '../../../../shared/core/time.ts';
import type { EventFacts } from '../../../../shared/core/webhook-event.ts';
import { csssProfile } from '../../../../shared/providers/linksfield-csss/profile.ts';
import {
  areAllOf,
  baselineOf,
  confirmByRecords,
  findInRecords,
  type LocalTimes,
} from '../../../../shared/providers/linksfield-csss/records.ts';
import { type OrderRow, readLocalTime } from '../../../../shared/providers/linksfield-csss/wire.ts';
import type { PurchaseQuery } from '../../../../shared/providers/provider.ts';

const iccid = '89852022018041800192';
const sentAt = Date.UTC(2026, 10, 22, 10, 0, 0);
const unknownZone: LocalTimes = { zoneOffsetMinutes: null };
const beijing: LocalTimes = { zoneOffsetMinutes: 480 };

function subject(): Subject {
  const made = subjectOf('linksfield-csss', 'iccid', iccid);
  if (made === null) throw new Error('the test ICCID must be readable');
  return made;
}

function row(orderCode: string, changes: Partial<OrderRow> = {}): OrderRow {
  return {
    orderCode,
    orderStatus: '1',
    orderPeriod: '1',
    orderDate: '20261122180005',
    expireDate: '',
    packageCode: 'DP1',
    deviceId: iccid,
    device_id: iccid,
    main_iccid: null,
    ...changes,
  };
}

function query(
  kind: ActionKind,
  baseline: Json,
  known: readonly string[] = [],
  lateCommit = csssProfile.lateCommit,
): PurchaseQuery {
  return {
    order: {
      actionId: 'a1',
      kind,
      subject: subject(),
      plan: {},
      reference: 'abc',
      targetOrderId: kind === 'renew' ? 'L1' : null,
      maxCost: { amountMinor: 500, currency: 'USD' },
    },
    baseline,
    sentWindow: { first: epochMs(sentAt), last: epochMs(sentAt + 60_000) },
    lateCommit,
    knownOrderIds: new Set(known),
  };
}

describe('a new order after a lost answer', () => {
  const before = baselineOf([row('OLD')]);
  const find = (
    rows: readonly OrderRow[],
    baseline = before,
    known: readonly string[] = [],
    times = unknownZone,
  ) => findInRecords(query('order', baseline, known), rows, 'DP1', times);

  test('is found when it is the only new one', () => {
    expect(find([row('OLD'), row('NEW')])).toMatchObject({
      kind: 'found',
      providerOrderId: 'NEW',
      charge: null,
    });
  });

  test.each([
    ['no rows at all', []],
    ['only the old order', [row('OLD')]],
    ['a new order of another package', [row('OLD'), row('X', { packageCode: 'DP2' })]],
  ])('is absent with %s', (_name, rows) => {
    expect(find(rows)).toEqual({ kind: 'absent' });
  });

  test('is absent when the new order belongs to another action', () => {
    expect(find([row('OLD'), row('NEW')], before, ['NEW'])).toEqual({ kind: 'absent' });
  });

  test('is ambiguous with two candidates, and names both', () => {
    expect(find([row('A'), row('B')])).toMatchObject({ kind: 'ambiguous', candidates: ['A', 'B'] });
  });

  test('is ambiguous when the new order names no package', () => {
    expect(find([row('A', { packageCode: null })])).toMatchObject({ kind: 'ambiguous', candidates: ['A'] });
  });

  test.each([null, {}, { orders: 'x' }, { orders: [{ id: 1 }] }])(
    'is ambiguous when the baseline is %j',
    (baseline) => {
      expect(find([row('NEW')], baseline)).toMatchObject({ kind: 'ambiguous', candidates: ['NEW'] });
      expect(find([], baseline)).toEqual({ kind: 'absent' });
    },
  );

  test('is found without a baseline when the zone is known and the time fits', () => {
    expect(find([row('NEW')], null, [], beijing)).toMatchObject({ kind: 'found' });
    expect(find([row('NEW', { orderDate: '' })], null, [], beijing)).toMatchObject({ kind: 'ambiguous' });
    expect(find([row('OLDER', { orderDate: '20261121100005' })], null, [], beijing)).toEqual({
      kind: 'absent',
    });
  });

  // Found by asking what a wrong zone in the stage would do: it proved our own order's absence.
  test.each([
    ['with a baseline', before],
    ['without one', null],
  ])('is never taken for absent when only the zone keeps it from being ours, %s', (_name, baseline) => {
    const elsewhere = [row('NEW', { orderDate: '20261122100005' })];
    expect(find(elsewhere, baseline, [], beijing)).toMatchObject({ kind: 'ambiguous', candidates: ['NEW'] });
    expect(find(elsewhere, baseline, ['NEW'], beijing)).toEqual({ kind: 'absent' });
  });

  // Found by reading: only the profile's figure was used, so a stage that waits longer bought a second time.
  test('is found as late as the stage lets an order appear', () => {
    const late = [row('NEW', { orderDate: '20261122193000' })];
    expect(findInRecords(query('order', before), late, 'DP1', beijing)).toMatchObject({ kind: 'ambiguous' });
    const patient = query('order', before, [], hours(2));
    expect(findInRecords(patient, late, 'DP1', beijing)).toMatchObject({ kind: 'found' });
  });

  test.each([
    ['14 h ahead of UTC', '20261123000000', 'found'],
    ['12 h behind UTC', '20261121220000', 'found'],
    ['more than any zone explains, early', '20261121184900', 'absent'],
    ['more than any zone explains, late', '20261123014200', 'absent'],
    ['unreadable', 'yesterday', 'found'],
    ['empty', '', 'found'],
    ['the other spelling', '2026-11-22 18:00:05', 'found'],
  ])('uses time only to exclude the impossible: %s', (_name, orderDate, kind) => {
    expect(find([row('NEW', { orderDate })]).kind).toBe(kind);
  });
});

describe('a renewal after a lost answer', () => {
  const then = row('L1', { orderStatus: '2', orderPeriod: '1', expireDate: '2026-11-30 23:59:59' });
  const before = baselineOf([then]);
  const find = (rows: readonly OrderRow[], baseline: Json = before) =>
    findInRecords(query('renew', baseline), rows, null, unknownZone);

  test.each([
    ['a later end', { expireDate: '2026-12-31 23:59:59' }, 'found'],
    ['a later end in the other spelling', { expireDate: '20261231235959' }, 'found'],
    ['more periods', { orderPeriod: '2' }, 'found'],
    ['both', { expireDate: '2026-12-31 23:59:59', orderPeriod: '2' }, 'found'],
    ['nothing', {}, 'absent'],
    ['the same end in the other spelling', { expireDate: '20261130235959' }, 'absent'],
    ['another status only', { orderStatus: '3' }, 'absent'],
    ['an earlier end', { expireDate: '2026-11-29 23:59:59' }, 'ambiguous'],
    ['fewer periods', { orderPeriod: '0' }, 'ambiguous'],
    ['a later end but fewer periods', { expireDate: '2026-12-31 23:59:59', orderPeriod: '0' }, 'ambiguous'],
    ['an end that is gone', { expireDate: '' }, 'ambiguous'],
    ['an unreadable end', { expireDate: 'never' }, 'ambiguous'],
  ])('with %s changed gives %#', (_name, changes, kind) => {
    const finding = find([{ ...then, ...changes }, row('OTHER')]);
    expect(finding.kind).toBe(kind);
    if (finding.kind === 'found') expect(finding.providerOrderId).toBe('L1');
  });

  test('is absent for an unused order whose empty end stays empty', () => {
    const unused = row('L1', { expireDate: '' });
    expect(find([unused], baselineOf([unused]))).toEqual({ kind: 'absent' });
    expect(find([{ ...unused, expireDate: null }], baselineOf([unused]))).toEqual({ kind: 'absent' });
  });

  test('can not be told when the order is gone from the records', () => {
    expect(find([row('OTHER')])).toMatchObject({ kind: 'unavailable', code: 'order-not-listed' });
  });

  test.each([null, { orders: [] }])('is ambiguous with the baseline %j', (baseline) => {
    expect(find([then], baseline)).toMatchObject({ kind: 'ambiguous', candidates: ['L1'] });
  });
});

describe('an unsigned claim', () => {
  const now = epochMs(sentAt);
  const claim = (
    status: 'expired' | 'ended-early' | 'paused',
    orderId: string | null = 'L1',
  ): EventFacts => ({
    kind: 'order-status',
    status,
    order: { orderId, reference: null, packageCode: null },
  });
  const judge = (facts: EventFacts, rows: readonly OrderRow[], times = unknownZone) =>
    confirmByRecords(facts, rows, { ...times, now }).kind;

  test.each([
    ['past', { orderStatus: '2', expireDate: '2026-11-20 23:59:59' }, 'confirmed'],
    ['past, other spelling', { orderStatus: '2', expireDate: '20261120235959' }, 'confirmed'],
    ['within any zone’s distance', { orderStatus: '2', expireDate: '2026-11-23 01:00:00' }, 'confirmed'],
    ['still to come, in use', { orderStatus: '2', expireDate: '2026-11-23 01:20:00' }, 'denied'],
    ['still to come, not enabled', { orderStatus: '1', expireDate: '2026-12-23 01:20:00' }, 'unavailable'],
    [
      'still to come, in a state that nobody listed',
      { orderStatus: '4', expireDate: '20261223012000' },
      'unavailable',
    ],
    ['empty, in use', { orderStatus: '2', expireDate: '' }, 'unavailable'],
    ['empty, not enabled', { orderStatus: '1', expireDate: '' }, 'unavailable'],
    ['empty, in another state', { orderStatus: '5', expireDate: '' }, 'confirmed'],
    ['unreadable, without a state', { orderStatus: null, expireDate: 'x' }, 'unavailable'],
  ])('of an expiry, with the end %s', (_name, changes, kind) => {
    expect(judge(claim('expired'), [row('L1', changes)])).toBe(kind);
  });

  test('of an expiry is denied while another order of the SIM is in use', () => {
    const old = row('L1', { orderStatus: '3', expireDate: '2026-11-21 00:00:00' });
    const next = row('L2', { orderStatus: '2', expireDate: '2027-11-21 00:00:00' });
    expect(judge(claim('expired'), [old, next])).toBe('denied');
  });

  test('of an expiry can not be told when the order ended long ago', () => {
    const old = row('L1', { orderStatus: '3', expireDate: '2024-11-21 00:00:00' });
    expect(judge(claim('expired'), [old])).toBe('unavailable');
  });

  test('of an expiry is judged by the exact time when the zone is known', () => {
    const rows = [row('L1', { orderStatus: '2', expireDate: '2026-11-22 23:00:00' })];
    expect(judge(claim('expired'), rows, beijing)).toBe('denied');
    expect(judge(claim('expired'), rows)).toBe('confirmed');
  });

  test('of an early end is confirmed once the order left both known states', () => {
    const end = '2026-12-31 23:59:59';
    expect(judge(claim('ended-early'), [row('L1', { orderStatus: '4', expireDate: end })])).toBe('confirmed');
    expect(judge(claim('ended-early'), [row('L1', { orderStatus: '2', expireDate: end })])).toBe('denied');
  });

  test('about an order that the SIM does not have, or about none, is never confirmed', () => {
    const rows = [row('L1', { orderStatus: '2', expireDate: '2026-11-20 23:59:59' })];
    expect(judge(claim('expired', 'L2'), rows)).toBe('unavailable');
    expect(judge(claim('expired', null), rows)).toBe('unavailable');
    expect(judge(claim('paused'), rows)).toBe('unavailable');
    expect(judge({ kind: 'unknown' }, rows)).toBe('unavailable');
  });

  const running = row('A', { orderStatus: '2', expireDate: '2026-12-31 23:59:59' });
  const ending = row('B', { orderStatus: '2', expireDate: '2026-11-27 23:59:59' });
  const over = row('C', { orderStatus: '3', expireDate: '2026-10-31 23:59:59' });
  test.each([
    ['no-plan', [], 'confirmed'],
    ['no-plan', [running], 'denied'],
    ['no-plan', [over], 'unavailable'],
    ['expired', [over], 'confirmed'],
    ['expired', [over, running], 'denied'],
    ['expired', [], 'unavailable'],
    ['expiring', [ending, over], 'confirmed'],
    ['expiring', [ending, running], 'denied'],
    ['expiring', [over], 'unavailable'],
    ['expiring', [ending, row('D', { orderStatus: '2' })], 'unavailable'],
    ['trial-used', [running], 'unavailable'],
    ['unknown', [running], 'unavailable'],
  ] as const)('of a reminder "%s" is judged by the orders (%#)', (warning, rows, kind) => {
    expect(judge({ kind: 'plan-reminder', warning, expiresAt: null }, rows)).toBe(kind);
  });
});

describe('rows', () => {
  test('belong to the SIM in either spelling, by any member that names it', () => {
    const sim = subject();
    expect(areAllOf(sim, [row('A'), row('B', { deviceId: null })])).toBe(true);
    expect(areAllOf(sim, [row('A', { deviceId: null, device_id: null, main_iccid: iccid })])).toBe(true);
    expect(areAllOf(sim, [row('A'), row('B', { deviceId: '89860012018111220455', device_id: null })])).toBe(
      false,
    );
    expect(areAllOf(sim, [row('A', { deviceId: null, device_id: null })])).toBe(false);
  });

  test.each([
    ['20190302172719', Date.UTC(2019, 2, 2, 17, 27, 19)],
    ['2023-12-31 23:59:59', Date.UTC(2023, 11, 31, 23, 59, 59)],
    ['2023-12-31', null],
    ['20231301000000', null],
    ['1642385160000', null],
    ['', null],
    [null, null],
  ])('read the local time %s', (text, moment) => {
    expect(readLocalTime(text)).toBe(moment);
  });
});
