import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { orderPartId } from '../../../shared/core/provider-order.ts';
import { after, days, seconds } from '../../../shared/core/time.ts';
import { loadAction } from '../../../shared/store/action-store.ts';
import { StoreError } from '../../../shared/store/errors.ts';
import { countEvents } from '../../../shared/store/event-listing.ts';
import {
  existingActions,
  findOwnAction,
  loadEvent,
  loadEvidence,
  loadSim,
  recordCallback,
  writeDecision,
} from '../../../shared/store/event-store.ts';
import { actionKey, eventKey, orderKey, simKey } from '../../../shared/store/item-layout.ts';
import type { SqliteTable } from '../../../shared/store/sqlite-table.ts';
import type { Table } from '../../../shared/store/table.ts';
import { event, noon, subject } from '../core/samples.ts';
import { decideNow, eventIdOf, eventOf, openTable, plannedAction, record } from './store-world.ts';

let table: SqliteTable;
beforeEach(() => {
  table = openTable();
});
afterEach(() => table.close());

const keys = (prefix: string): readonly string[] =>
  table.database
    .prepare('SELECT pk FROM items WHERE pk LIKE ? ORDER BY pk')
    .all(`${prefix}%`)
    .map((row) => String(row.pk));

const evidenceOf = (bytes: number) => ({
  body: new Uint8Array(bytes).fill(7),
  headers: { 'x-a': '1' },
  path: '/p',
});

describe('recording a callback', () => {
  const recordOf = (bytes: number, ...ns: number[]) =>
    recordCallback(table, {
      callbackId: 'cbk_1',
      evidence: evidenceOf(bytes),
      events: ns.map((n) => ({ ...eventOf(n), callbackId: 'cbk_1' })),
      now: noon,
    });

  it.each([
    ['beside the event when it is small and reports one fact', 4_096, [1], 0],
    ['in a row of its own above 4 KiB', 4_097, [1], 1],
    ['in a row of its own when it reports several facts', 10, [1, 2], 1],
  ] as const)('keeps the bytes %s', async (_where, bytes, ns, rows) => {
    expect(await recordOf(bytes, ...ns)).toEqual(ns.map(() => 'recorded'));
    expect(keys('CALLBACK#')).toHaveLength(rows);
    for (const n of ns) {
      const row = await loadEvent(table, eventIdOf(n));
      expect(row?.value.evidence === null).toBe(rows === 1);
      const evidence = row === null ? null : await loadEvidence(table, row.value);
      expect(evidence).toEqual(evidenceOf(bytes));
    }
  });

  it('stores each fact once and says which were new', async () => {
    await recordOf(10, 1, 2);
    expect(await recordOf(10, 2, 3, 1)).toEqual(['duplicate', 'recorded', 'duplicate']);
    expect(keys('EVENT#')).toHaveLength(3);
    expect(keys('CALLBACK#')).toHaveLength(1);
  });

  it('leaves a decided event alone when it is delivered again', async () => {
    await recordOf(10, 1);
    await decideNow(table, eventIdOf(1));
    const before = await loadEvent(table, eventIdOf(1));
    expect(await recordOf(10, 1)).toEqual(['duplicate']);
    expect(await loadEvent(table, eventIdOf(1))).toEqual(before);
  });

  it('stores many facts of one callback', async () => {
    const ns = Array.from({ length: 100 }, (_, i) => i);
    expect(new Set(await recordOf(10, ...ns))).toEqual(new Set(['recorded']));
    expect(await countEvents(table, noon, 1)).toMatchObject({ events: 100, latest: noon });
  });

  it('throws StoreError while the store is down', async () => {
    const down: Table = { ...table, write: () => Promise.reject(new StoreError('unavailable', 'gone')) };
    await expect(record(down, eventOf(1))).rejects.toMatchObject({ code: 'unavailable', retryable: true });
  });

  it('keeps events for a hundred days, and SIMs and actions for good', async () => {
    await plannedAction(table, 1);
    const expiry = async (key: { pk: string; sk: string }) => (await table.get(key))?.expiresAtSec;
    expect(await expiry(eventKey(eventIdOf(1)))).toBe(Math.ceil(after(noon, days(100)) / 1_000));
    expect(await expiry({ pk: keys('SIM#')[0] ?? '', sk: 'STATE' })).toBeNull();
    expect(await expiry({ pk: keys('ACTION#')[0] ?? '', sk: 'ACTION' })).toBeNull();
  });
});

describe('writing a decision', () => {
  it('lets one of two judges of one event win, and leaves no half of the other', async () => {
    await record(table, eventOf(1));
    const results = await Promise.all([decideNow(table, eventIdOf(1)), decideNow(table, eventIdOf(1))]);
    expect(results.map((r) => r.result).sort()).toEqual(['conflict', 'written']);
    expect(keys('ACTION#')).toHaveLength(1);
    const row = await loadEvent(table, eventIdOf(1));
    expect(row?.value.decisions).toHaveLength(1);
  });

  it('lets one of two events of one SIM take its lock, and the other pass when it is judged again', async () => {
    const iccid = '89852000263320817044';
    await record(table, eventOf(1, iccid));
    await record(table, eventOf(2, iccid));
    const first = await Promise.all([decideNow(table, eventIdOf(1)), decideNow(table, eventIdOf(2))]);
    expect(first.map((r) => r.result).sort()).toEqual(['conflict', 'written']);
    const loser = first[0]?.result === 'conflict' ? 1 : 2;
    expect((await loadEvent(table, eventIdOf(loser)))?.value.state).toBe('recorded');
    const again = await decideNow(table, eventIdOf(loser));
    expect(again).toEqual({ result: 'written', actions: [] });
    const verdicts = (await loadEvent(table, eventIdOf(loser)))?.value.decisions[0]?.verdicts;
    expect(verdicts).toMatchObject([{ reason: 'cooling-down' }]);
    expect(keys('ACTION#')).toHaveLength(1);
  });

  it('writes nothing when the action exists already', async () => {
    const action = await plannedAction(table, 1);
    const row = await loadEvent(table, eventIdOf(1));
    if (row === null) throw new Error('no event');
    const sim = await loadSim(table, action.subject.key);
    const decision = { policyVersion: 'p', decidedAt: noon, ownActionId: null, verdicts: [] };
    const written = await writeDecision(table, {
      event: row,
      decision,
      actions: [{ ...action, maxCost: { amountMinor: 999, currency: 'USD' } }],
      sim: { ...sim, value: { ...sim.value, openActionId: null } },
    });
    expect(written).toBe('conflict');
    expect((await loadAction(table, action.actionId))?.value.action.maxCost.amountMinor).toBe(500);
    expect((await loadSim(table, action.subject.key)).value.openActionId).toBe(action.actionId);
    expect((await loadEvent(table, eventIdOf(1)))?.value.decisions).toHaveLength(1);
  });

  it('keeps the latest twenty judgements of an event that is replayed', async () => {
    await record(table, eventOf(1));
    const decision = (n: number) => ({
      policyVersion: `p${n}`,
      decidedAt: noon,
      ownActionId: null,
      verdicts: [],
    });
    for (let n = 0; n < 25; n++) {
      const row = await loadEvent(table, eventIdOf(1));
      if (row === null) throw new Error('no event');
      await writeDecision(table, { event: row, decision: decision(n), actions: [], sim: null });
    }
    const versions = (await loadEvent(table, eventIdOf(1)))?.value.decisions.map((d) => d.policyVersion);
    expect(versions).toEqual(Array.from({ length: 20 }, (_, i) => `p${i + 5}`));
  });
});

describe('finding our own action', () => {
  it('finds the part of an order for several SIMs by the event’s SIM', async () => {
    const ours = event({
      facts: { kind: 'recharge', order: { orderId: 'OL-1', reference: null, packageCode: null } },
    });
    const part = orderPartId('OL-1', ours.subject?.simId ?? '');
    const data = { actionId: 'act_part' };
    const tie = { ...orderKey('eiotclub', part), data, indexes: {}, expiresAtSec: null };
    await table.write([{ kind: 'insert', item: tie }]);
    expect(await findOwnAction(table, ours)).toBe('act_part');
    expect(await findOwnAction(table, { ...ours, subject: subject('89852000263320817999') })).toBeNull();
    expect(await findOwnAction(table, { ...ours, subject: null })).toBeNull();
  });

  const reporting = (orderId: string | null, reference: string | null) =>
    event({ facts: { kind: 'package-ordered', order: { orderId, reference, packageCode: null } } });

  it('goes by the reference that the provider echoes, then by the order that is tied', async () => {
    const action = await plannedAction(table, 1);
    const tie = {
      ...orderKey('eiotclub', 'ORDER_1'),
      data: { actionId: 'act_tied' },
      indexes: {},
      expiresAtSec: null,
    };
    await table.write([{ kind: 'insert', item: tie }]);
    expect(await findOwnAction(table, reporting(null, action.reference))).toBe(action.actionId);
    expect(await findOwnAction(table, reporting('ORDER_1', null))).toBe('act_tied');
    expect(await findOwnAction(table, reporting('ORDER_1', 'f'.repeat(32)))).toBe('act_tied');
    expect(await findOwnAction(table, reporting('ORDER_2', null))).toBeNull();
    expect(await findOwnAction(table, reporting(null, 'not-a-reference'))).toBeNull();
    expect(await findOwnAction(table, { ...reporting('ORDER_1', null), provider: 'other' })).toBeNull();
    expect(await findOwnAction(table, event())).toBeNull();
  });
});

describe('existing actions', () => {
  // Found in review: a replay asks for one id per rule, a stage may have 500 rules, and one read takes 100 keys.
  it('are found among as many ids as a stage has rules', async () => {
    const action = await plannedAction(table, 1);
    const ids = Array.from({ length: 500 }, (_, i) => (i === 321 ? action.actionId : `act_${i}`));
    expect(await existingActions(table, ids)).toEqual(new Set([action.actionId]));
    expect(await existingActions(table, [])).toEqual(new Set());
  });
});

describe('a row that nobody can read', () => {
  it('is reported with its key and what is wrong, instead of steering money', async () => {
    const action = await plannedAction(table, 1);
    const spoil = async (key: { pk: string; sk: string }, data: Record<string, unknown>) => {
      const text = JSON.stringify(data);
      table.database.prepare('UPDATE items SET data = ? WHERE pk = ? AND sk = ?').run(text, key.pk, key.sk);
    };
    await spoil(simKey(action.subject.key), { simKey: 'x', openActionId: 5 });
    await expect(loadSim(table, action.subject.key)).rejects.toMatchObject({
      code: 'corrupt-item',
      retryable: false,
      message: expect.stringMatching(
        /^the sim row SIM#eiotclub:iccid:\d+ STATE can't be read: [\s\S]*openActionId/,
      ),
    });
    await spoil(actionKey(action.actionId), {});
    await expect(loadAction(table, action.actionId)).rejects.toThrow(
      `the action row ACTION#${action.actionId} ACTION`,
    );
    await spoil(eventKey(eventIdOf(1)), { event: {} });
    await expect(loadEvent(table, eventIdOf(1))).rejects.toThrow(`the event row EVENT#${eventIdOf(1)} EVENT`);
  });
});

describe('counting events', () => {
  it('goes back as many days as asked for', async () => {
    for (const [n, back] of [0, 1, 5].entries()) {
      const receivedAt = after(noon, -days(back) as never);
      await record(table, { ...eventOf(n), receivedAt });
    }
    const events = async (daysBack: number) => (await countEvents(table, noon, daysBack)).events;
    expect([await events(0), await events(1), await events(5)]).toEqual([1, 2, 3]);
    expect(await countEvents(table, after(noon, seconds(1)), 0)).toMatchObject({ complete: true });
  });
});
