import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AccountLimits } from '../../../shared/core/rate-limit.ts';
import { after, type EpochMs, epochMs, milliseconds, seconds } from '../../../shared/core/time.ts';
import { seededRandom } from '../../../shared/platform/random.ts';
import { findProvider } from '../../../shared/providers/registry.ts';
import { accountGate } from '../../../shared/store/account-gate.ts';
import { limitKey } from '../../../shared/store/item-layout.ts';
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

/** A crowd that asks at nearly the same time and comes back after whole seconds, as queues have it; when each was let in. */
async function letThrough(crowd: number): Promise<readonly EpochMs[]> {
  const random = seededRandom(11);
  const asking = Array.from({ length: crowd }, (_, i) => ({ at: noon + i * 3, hasWaited: false }));
  const granted: EpochMs[] = [];
  while (asking.length > 0) {
    asking.sort((a, b) => b.at - a.at);
    const next = asking.pop();
    if (next === undefined) break;
    const now = epochMs(next.at);
    const { hasWaited } = next;
    const request = { limits, requests: 1, leavesWithin: milliseconds(0), hasWaited, token: 't' };
    const result = await takeAccountSlots(
      table,
      { ...request, holdFor: seconds(30) },
      { clock: () => now, jitter: random.fraction() },
    );
    if (result.kind === 'granted') granted.push(now);
    else asking.push({ at: now + Math.ceil((result.until - now) / 1_000) * 1_000, hasWaited: true });
  }
  return granted;
}

const take = (token: string, now: EpochMs, account = limits, clock = () => now) =>
  takeAccountSlots(
    table,
    {
      limits: account,
      requests: 1,
      leavesWithin: milliseconds(0),
      hasWaited: false,
      token,
      holdFor: seconds(30),
    },
    { clock, jitter: 0.5 },
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

  it('lets a crowd through at nearly the pace of the account, and never faster', async () => {
    const granted = await letThrough(1_000);
    for (const [i, at] of granted.entries()) {
      expect(granted.slice(i, i + 11).filter((other) => other < at + 1_000).length).toBeLessThanOrEqual(10);
    }
    // Ten in 1.25 seconds. The last ones come back for crumbs, so the measure is when most are through.
    const ideal = (granted.length * 0.95 * 1_250) / 10;
    const mostAt = granted[Math.floor(granted.length * 0.95)] ?? noon;
    expect(mostAt - noon).toBeLessThan(ideal * 1.4);
  });

  it('reads a window of an older version, which knew one line only', async () => {
    const data = { grants: [noon], day: '2026-01-14', dayCount: 1, inFlight: {}, promisedUntil: 0 };
    await table.write([
      { kind: 'insert', item: { ...limitKey('eiotclub'), data, indexes: {}, expiresAtSec: null } },
    ]);
    expect((await take('x', after(noon, milliseconds(10)))).kind).toBe('granted');
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

  // Found by the seeded simulation: a machine slept between the reading of the clock and the write.
  it('takes a fresh slot for a worker that stood still while it took one', async () => {
    const one = { ...limits, requestsPerSec: 1 };
    const woke = after(noon, seconds(9_921));
    const readings = [noon, woke];
    const standsStill = () => readings.shift() ?? woke;
    expect((await take('a', noon, one, standsStill)).kind).toBe('granted');
    expect((await take('b', woke, one)).kind).toBe('wait');
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
