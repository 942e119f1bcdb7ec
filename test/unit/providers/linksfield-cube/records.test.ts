import { describe, expect, test } from 'vitest';
import type { Json } from '../../../../shared/core/action.ts';
import { subjectOf } from '../../../../shared/core/subject.ts';
import { epochMs, hours } from '../../../../shared/core/time.ts';
import { cubeProfile } from '../../../../shared/providers/linksfield-cube/profile.ts';
import { baselineOf, findInBundles } from '../../../../shared/providers/linksfield-cube/records.ts';
import type { BundleRow } from '../../../../shared/providers/linksfield-cube/wire.ts';
import type { PurchaseQuery } from '../../../../shared/providers/provider.ts';

const sentAt = 1_700_000_000_000;
const minute = 60_000;

function row(id: string, changes: Partial<BundleRow> = {}): BundleRow {
  return {
    id,
    status: '1',
    type: '10',
    cycles: '1',
    added_at: String(sentAt + 500),
    end_at: null,
    ...changes,
  };
}

function find(
  kind: 'order' | 'renew',
  rows: readonly BundleRow[],
  baseline: Json,
  known: readonly string[] = [],
  lateCommit = cubeProfile.lateCommit,
) {
  const subject = subjectOf('linksfield-cube', 'iccid', '89000100010003125832');
  if (subject === null) throw new Error('the test ICCID must be readable');
  const query: PurchaseQuery = {
    order: {
      actionId: 'a1',
      kind,
      subject,
      plan: {},
      reference: 'abc',
      targetOrderId: null,
      maxCost: { amountMinor: 500, currency: 'USD' },
    },
    baseline,
    sentWindow: { first: epochMs(sentAt), last: epochMs(sentAt + minute) },
    lateCommit,
    knownOrderIds: new Set(known),
  };
  return findInBundles(query, rows, kind === 'order' ? 'LP1' : null);
}

const old = row('LP0', { added_at: '1600000000000', end_at: String(sentAt + 86_400_000), cycles: '3' });
const before = baselineOf([old]);

describe('a bundle order after a lost answer', () => {
  test('is found as the one new bundle of that plan', () => {
    expect(find('order', [old, row('LP1')], before)).toEqual({
      kind: 'found',
      providerOrderId: `bundle:LP1@${sentAt + 500}`,
      charge: null,
      how: 'a new bundle of this SIM',
    });
  });

  test('is found when the plan’s own cycles grew', () => {
    const then = row('LP1', { added_at: '1600000000000', cycles: '3' });
    const finding = find('order', [{ ...then, cycles: '4' }], baselineOf([then]));
    expect(finding).toMatchObject({ kind: 'found', providerOrderId: 'bundle:LP1@1600000000000x4' });
  });

  test.each([
    ['nothing changed', [old]],
    ['no bundle is left', []],
    ['the new bundle is older than the call', [old, row('LP1', { added_at: String(sentAt - 11 * minute) })]],
    ['the new bundle is far later', [old, row('LP1', { added_at: String(sentAt + 72 * minute) })]],
    ['only another bundle’s state changed', [{ ...old, status: '3' }]],
  ])('is absent when %s', (_name, rows) => {
    expect(find('order', rows, before)).toEqual({ kind: 'absent' });
  });

  test('is found as late as the stage lets an order appear', () => {
    const late = [old, row('LP1', { added_at: String(sentAt + 72 * minute) })];
    expect(find('order', late, before, [], hours(2))).toMatchObject({ kind: 'found' });
  });

  test('is absent when the new bundle belongs to another action', () => {
    expect(find('order', [old, row('LP1')], before, [`bundle:LP1@${sentAt + 500}`])).toEqual({
      kind: 'absent',
    });
  });

  test.each([
    ['two new bundles of the plan', [row('LP1'), row('LP1', { added_at: String(sentAt + 600) })], before],
    ['a new bundle under another id', [old, row('INSTANCE-7')], before],
    ['a new bundle without a time', [old, row('LP1', { added_at: null })], before],
    ['no baseline', [row('LP1')], null],
    ['an unreadable baseline', [row('LP1')], { bundles: 'x' }],
  ])('is ambiguous with %s', (_name, rows, baseline) => {
    expect(find('order', rows, baseline).kind).toBe('ambiguous');
  });

  test('is absent without a baseline when every bundle is older than the call', () => {
    expect(find('order', [old], null)).toEqual({ kind: 'absent' });
  });
});

describe('a renewal after a lost answer', () => {
  test.each([
    ['a new bundle', [old, row('ANY')], 'found'],
    ['grown cycles', [{ ...old, cycles: '4' }], 'found'],
    ['a later end', [{ ...old, end_at: String(sentAt + 2 * 86_400_000) }], 'found'],
    ['no change', [old], 'absent'],
    ['another state only', [{ ...old, status: '3' }], 'absent'],
    ['fewer cycles', [{ ...old, cycles: '2' }], 'ambiguous'],
    ['an earlier end', [{ ...old, end_at: String(sentAt) }], 'ambiguous'],
    ['an end that is gone', [{ ...old, end_at: null }], 'ambiguous'],
    ['two changes', [{ ...old, cycles: '4' }, row('ANY')], 'ambiguous'],
    ['an older bundle that came back', [old, row('BACK', { added_at: '1500000000000' })], 'ambiguous'],
  ])('with %s is %#', (_name, rows, kind) => {
    expect(find('renew', rows, before).kind).toBe(kind);
  });

  test('is absent when a waiting bundle merely started and got its end', () => {
    const waiting = row('LP0', { added_at: '1600000000000', status: '0', end_at: null });
    const started = { ...waiting, status: '1', end_at: String(sentAt + 86_400_000) };
    expect(find('renew', [started], baselineOf([waiting]))).toEqual({ kind: 'absent' });
  });

  test('is never found without a baseline', () => {
    expect(find('renew', [row('ANY')], null).kind).toBe('ambiguous');
    expect(find('renew', [old], null).kind).toBe('ambiguous');
  });
});
