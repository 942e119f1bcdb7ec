import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AccountLimits } from '../../../shared/core/rate-limit.ts';
import { after, type EpochMs, milliseconds, seconds } from '../../../shared/core/time.ts';
import { seededRandom } from '../../../shared/platform/random.ts';
import { findProvider } from '../../../shared/providers/registry.ts';
import { accountGate } from '../../../shared/store/account-gate.ts';
import { releaseAccountSlot, takeAccountSlots } from '../../../shared/store/rate-limiter.ts';
import type { SqliteTable } from '../../../shared/store/sqlite-table.ts';
import { noon } from '../core/samples.ts';
import { openTable } from './store-world.ts';

let table: SqliteTable;
beforeEach(() => {
  table = openTable();
});
afterEach(() => table.close());

const limits: AccountLimits = {
  provider: 'eiotclub',
  requestsPerSec: 10,
  connectionsMax: null,
  requestsPerDay: null,
};

const take = (token: string, now: EpochMs, account = limits) =>
  takeAccountSlots(
    table,
    { limits: account, now, requests: 1, leavesWithin: milliseconds(0), token, holdFor: seconds(30) },
    0.5,
  );

describe('the rate limiter in the table', () => {
  it('never grants twenty workers at once more than the account bears', async () => {
    const granted: EpochMs[] = [];
    for (let step = 0; step < 30; step++) {
      const now = after(noon, milliseconds(step * 100));
      const results = await Promise.all(Array.from({ length: 20 }, (_, i) => take(`${step}-${i}`, now)));
      for (const result of results) {
        if (result.kind === 'granted') granted.push(now);
        else expect(result.until).toBeGreaterThan(now);
      }
    }
    expect(granted.length).toBeGreaterThan(15);
    for (const from of granted) {
      expect(granted.filter((at) => at >= from && at < from + 1_000).length).toBeLessThanOrEqual(10);
    }
  });

  it('never opens more connections than the account has, and gives them back', async () => {
    const account = { ...limits, connectionsMax: 3 };
    const results = await Promise.all(Array.from({ length: 20 }, (_, i) => take(`t${i}`, noon, account)));
    const holders = results.flatMap((result, i) => (result.kind === 'granted' ? [`t${i}`] : []));
    expect(holders.length).toBeGreaterThan(0);
    expect(holders.length).toBeLessThanOrEqual(3);
    let now = after(noon, seconds(2));
    for (let i = holders.length; i < 3; i++)
      expect((await take(`more${i}`, now, account)).kind).toBe('granted');
    expect((await take('x', now, account)).kind).toBe('wait');
    await releaseAccountSlot(table, 'eiotclub', holders[0] ?? '');
    await releaseAccountSlot(table, 'eiotclub', 'never-held');
    await releaseAccountSlot(table, 'other', 'never-held');
    now = after(now, seconds(2));
    expect((await take('x', now, account)).kind).toBe('granted');
    expect((await take('y', now, account)).kind).toBe('wait');
  });

  it('keeps the accounts of two providers apart', async () => {
    const one = { ...limits, requestsPerSec: 1 };
    expect((await take('a', noon, one)).kind).toBe('granted');
    expect((await take('b', noon, one)).kind).toBe('wait');
    expect((await take('c', noon, { ...one, provider: 'other' })).kind).toBe('granted');
  });
});

describe('the gate of the read-only requests', () => {
  it('lets through what the account bears, and says how long to wait otherwise', async () => {
    const profile = findProvider('eiotclub')?.profile;
    if (!profile) throw new Error('no eiotclub');
    const edges = { clock: () => noon, random: seededRandom(1) };
    const gate = accountGate(
      table,
      { limits: { ...limits, requestsPerSec: 2, connectionsMax: 2 }, profile },
      edges,
    );
    const [one, two] = [await gate(), await gate()];
    expect([one.ok, two.ok]).toEqual([true, true]);
    const third = await gate();
    expect(third).toMatchObject({ ok: false, why: 'the account has no free connection' });
    if (one.ok) await one.release();
    expect(await gate()).toMatchObject({
      ok: false,
      why: 'the account has used its requests of this second',
    });
  });
});
