import { describe, expect, it } from 'vitest';
import { readRow } from '../../../shared/store/rows.ts';
import type { Item, Value } from '../../../shared/store/table.ts';

const itemOf = (data: Item['data']): Item => ({
  pk: 'SIM#eiotclub:1',
  sk: 'STATE',
  version: 1,
  data,
  indexes: {},
  expiresAtSec: null,
});

const sim: Item['data'] = {
  simKey: 'eiotclub:1',
  openActionId: null,
  cooldowns: { 'renew-low-data': 1_800_000_000_000 },
  committedMinor: { '2026-11': 500, '2026-11-22': -20 },
  claimedAt: [1_800_000_000_000, 0],
  lastSettledAt: null,
};

describe('rows', () => {
  it('gives back what was stored', () => {
    expect(readRow('sim', itemOf(sim))).toEqual(sim);
    expect(readRow('capSums', itemOf({ total: 500, 'rule:renew-low-data': 0 }))).toEqual({
      total: 500,
      'rule:renew-low-data': 0,
    });
  });

  it.each<readonly [string, string, Value]>([
    ['a moment before 1970', 'lastSettledAt', -1],
    ['a fraction of a millisecond', 'lastSettledAt', 0.5],
    ['a moment in words', 'lastSettledAt', '2026-11-22'],
    ['a moment among the cool-downs that is none', 'cooldowns', { 'renew-low-data': 'soon' }],
    ['cool-downs in a list', 'cooldowns', [1]],
    ['cool-downs in bytes', 'cooldowns', Uint8Array.of(1)],
    ['no cool-downs at all', 'cooldowns', null],
    ['a fraction of a cent', 'committedMinor', { '2026-11': 0.5 }],
    ['a claim at no moment', 'claimedAt', [1, null]],
    ['claims by name', 'claimedAt', { first: 1 }],
  ])('refuses %s, and names the row and the member', (_name, member, value) => {
    const damaged = itemOf({ ...sim, [member]: value });
    expect(() => readRow('sim', damaged)).toThrow(
      expect.objectContaining({ name: 'StoreError', code: 'corrupt-item', retryable: false }),
    );
    expect(() => readRow('sim', damaged)).toThrow(new RegExp(`SIM#eiotclub:1 STATE .*\\n?.*${member}`, 's'));
  });

  it('refuses a counter of a cap that is no whole number', () => {
    expect(() => readRow('capSums', itemOf({ total: 'much' }))).toThrow(/must be an object whose members/);
  });
});
