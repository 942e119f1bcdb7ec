import { beforeEach, describe, expect, it } from 'vitest';
import type { Difference } from '../../../shared/core/reconcile.ts';
import { after, hours } from '../../../shared/core/time.ts';
import {
  type Finding,
  findingIdOf,
  listFindings,
  loadFinding,
  recordFinding,
  resolveFinding,
} from '../../../shared/store/finding-store.ts';
import { openSqliteTable, type SqliteTable } from '../../../shared/store/sqlite-table.ts';
import { digest, noon, subject } from '../core/samples.ts';

const difference: Difference = {
  kind: 'order-not-ours',
  about: '1',
  orderId: '1',
  actionId: null,
  detail: 'order 1 was not placed by simhook',
  mended: null,
};
const findingId = findingIdOf(subject(), difference, digest);
const later = after(noon, hours(1));

let table: SqliteTable;

beforeEach(() => {
  table = openSqliteTable({ path: ':memory:', now: () => noon });
});

const record = (changes: Partial<Difference> = {}, now = noon) =>
  recordFinding(table, { findingId, subject: subject(), difference: { ...difference, ...changes } }, now);

const gone = { at: later, by: 'reconcile', how: 'the difference is gone' };

async function list(which: 'open' | 'all'): Promise<readonly Finding[]> {
  const rows: Finding[] = [];
  for await (const row of listFindings(table, which, after(noon, hours(9)))) rows.push(row.value);
  return rows;
}

describe('a finding', () => {
  it('is recorded once, with the time at which it was first seen', async () => {
    expect(await record()).toBe('opened');
    expect(await record({}, later)).toBe('seen');
    expect(await list('open')).toMatchObject([{ findingId, firstSeenAt: noon, state: { name: 'open' } }]);
  });

  it('has one name per SIM, kind and matter', () => {
    const other = subject('89852000263320817999');
    const names = [
      findingId,
      findingIdOf(other, difference, digest),
      findingIdOf(subject(), { ...difference, kind: 'amount-differs' }, digest),
      findingIdOf(subject(), { ...difference, about: '2' }, digest),
    ];
    expect(new Set(names).size).toBe(4);
    expect(findingIdOf(subject(), { ...difference, detail: 'other words' }, digest)).toBe(findingId);
  });

  it('that is mended from the start is listed, and not as open', async () => {
    expect(await record({ mended: 'booked' })).toBe('mended');
    expect(await record({ mended: 'booked' })).toBe('seen');
    expect(await list('open')).toEqual([]);
    expect(await list('all')).toMatchObject([
      { state: { name: 'resolved', by: 'reconcile', how: 'booked' } },
    ]);
  });

  it('that is open and can be mended now is closed', async () => {
    await record();
    expect(await record({ mended: 'booked' }, later)).toBe('mended');
    expect(await list('open')).toEqual([]);
    expect((await loadFinding(table, findingId))?.value.firstSeenAt).toBe(noon);
  });

  it('opens again when it had gone and is back', async () => {
    await record();
    expect(await resolveFinding(table, findingId, gone)).toBe('resolved');
    expect(await record({}, later)).toBe('opened');
    expect(await list('open')).toHaveLength(1);
  });

  it('stays closed when an operator closed it', async () => {
    await record();
    await resolveFinding(table, findingId, { at: later, by: 'ada', how: 'bought by hand for a customer' });
    expect(await record({}, later)).toBe('seen');
    expect(await list('open')).toEqual([]);
    expect((await loadFinding(table, findingId))?.value.state).toMatchObject({ by: 'ada' });
  });

  it('can be closed once, and only when there is one', async () => {
    expect(await resolveFinding(table, findingId, gone)).toBe('not-found');
    await record();
    expect(await resolveFinding(table, findingId, gone)).toBe('resolved');
    expect(await resolveFinding(table, findingId, gone)).toBe('not-open');
  });
});
