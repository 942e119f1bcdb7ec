import { describe, expect, it } from 'vitest';
import { claim, settle } from '../../../shared/core/lifecycle.ts';
import { emptySimState } from '../../../shared/core/sim-state.ts';
import { writeTransition } from '../../../shared/store/action-store.ts';
import { actionItem, actionKey, capMonthKey } from '../../../shared/store/item-layout.ts';
import { auditLedger } from '../../../shared/store/ledger-audit.ts';
import { openSqliteTable } from '../../../shared/store/sqlite-table.ts';
import type { Table } from '../../../shared/store/table.ts';
import { decidedAction, lease, noon, providerPolicy, rule } from '../core/samples.ts';

const { action: planned } = decidedAction();
const january = { month: new Date(noon).toISOString().slice(0, 7), providers: ['eiotclub'], now: noon };

/** A table on which one action was bought, by the real transitions. */
async function bought(): Promise<Table> {
  const table = openSqliteTable({ path: ':memory:', now: () => noon });
  await table.write([{ kind: 'insert', item: actionItem({ action: planned, notes: [], sweeps: 0 }) }]);
  const sim = emptySimState(planned.subject.key);
  const claimed = claim(planned, sim, lease, noon);
  const caps = { provider: providerPolicy(), rule: rule() };
  const row = { value: { action: planned, notes: [], sweeps: 0 }, version: 1 };
  expect(
    await writeTransition(table, { row, sim: { value: sim, version: null }, transition: claimed, caps }),
  ).toEqual({ kind: 'written' });
  const input = { action: claimed.action, sim: claimed.sim, rule: rule(), now: noon, jitter: 0 };
  const settled = settle(input, { kind: 'succeeded', providerOrderId: 'O1', charge: null });
  const running = { value: { action: claimed.action, notes: [], sweeps: 0 }, version: 2 };
  expect(
    await writeTransition(table, {
      row: running,
      sim: { value: claimed.sim, version: 1 },
      transition: settled,
      caps: null,
    }),
  ).toEqual({ kind: 'written' });
  return table;
}

describe('the audit of a month', () => {
  it('finds nothing when every booking was written whole', async () => {
    expect(await auditLedger(await bought(), january)).toEqual({ actions: 1, differences: [] });
  });

  it('names a counter that holds more than was booked', async () => {
    const table = await bought();
    const adds = [{ attribute: 'total', delta: 7, atMost: null }];
    await table.write([{ kind: 'add', key: capMonthKey('eiotclub', january.month), adds }]);
    const { differences } = await auditLedger(table, january);
    expect(differences).toEqual([{ place: `eiotclub ${january.month} total`, booked: 500, stored: 507 }]);
  });

  it('names an action whose sums are not those of its ledger', async () => {
    const table = await bought();
    const item = await table.get(actionKey(planned.actionId));
    if (item === null) throw new Error('the action must be stored');
    const row = JSON.parse(JSON.stringify(item.data));
    row.action.money.chargedMinor = 1;
    await table.write([{ kind: 'replace', item: { ...item, data: row }, ifVersion: item.version }]);
    const places = (await auditLedger(table, january)).differences.map(({ place }) => place);
    expect(places).toContain(`${planned.actionId} chargedMinor`);
    expect(places).toContain(`eiotclub ${january.month} total`);
  });
});
