import { afterEach, describe, expect, it } from 'vitest';
import type { ReconcileResult } from '../../functions/reconcile/reconcile.ts';
import { sumLedger } from '../../shared/core/lifecycle.ts';
import { epochMs, utcDay } from '../../shared/core/time.ts';
import { loadAction, loadCapSums } from '../../shared/store/action-store.ts';
import { loadEvent, loadSim } from '../../shared/store/event-store.ts';
import {
  type FlowWorld,
  openWorld,
  orderAgain,
  renewLowData,
  start,
  type WorldOptions,
} from './reconcile-world.ts';

const csssPackage = 'DP20190726001274';
const iccid = (n: number): string => `8985203000000000${String(n).padStart(2, '0')}`;

let world: FlowWorld | null = null;

afterEach(async () => {
  await world?.close();
  world = null;
});

async function open(options: Partial<WorldOptions> = {}): Promise<FlowWorld> {
  world = await openWorld({ rules: [renewLowData, orderAgain], ...options });
  return world;
}

/** A CSSS SIM with orders, the first of which has told that it started, so that we watch the SIM. */
async function csssSim(flow: FlowWorld, simId: string, orderIds: readonly string[]): Promise<void> {
  flow.simulator.addSim({
    provider: 'linksfield-csss',
    simId,
    packages: orderIds.map((orderId) => ({ code: csssPackage, state: 'active' as const, orderId })),
  });
  flow.simulator.startOrder(orderIds[0] ?? '');
  await flow.work();
}

/** An EIOTCLUB SIM that has bought one package by the rule. */
async function boughtAtEiotclub(flow: FlowWorld, simId = iccid(1)): Promise<void> {
  flow.simulator.addSim({ provider: 'eiotclub', simId, packages: [{ code: 'PKG001', state: 'active' }] });
  flow.simulator.emit('eiotclub', { event: 'FlowAlert', iccid: simId, alert_type: 1, alert_value: '98' });
  await flow.work();
}

function runOf(result: ReconcileResult, provider: string) {
  const run = result.providers.find((each) => each.provider === provider);
  if (run === undefined) throw new Error(`no run of ${provider}`);
  return run;
}

const nothingNew = { opened: 0, mended: 0, gone: 0, events: 0, booked: 0, noted: 0 };

describe('a callback that is lost for good', () => {
  it('is found in the records and acted on once, also when it comes after all', async () => {
    const flow = await open();
    await csssSim(flow, iccid(1), ['ORDER_1']);
    flow.lost = true;
    flow.simulator.expireOrder('ORDER_1');
    const endedAt = flow.now();
    await flow.pass(40);
    expect(flow.simulator.orders()).toEqual([]);

    const first = await flow.system.reconcile();
    await flow.work();
    expect(runOf(first, 'linksfield-csss')).toMatchObject({ end: 'done', sims: 1, events: 1, mended: 1 });
    expect(flow.simulator.orders()).toHaveLength(1);
    const [action] = await flow.actions();
    expect(action).toMatchObject({ targetOrderId: 'ORDER_1', state: { name: 'succeeded' } });
    const cause = await loadEvent(flow.table, action?.eventId ?? '');
    expect(cause?.value.event).toMatchObject({
      proof: { kind: 'reconciled' },
      facts: { kind: 'order-status', status: 'expired', order: { orderId: 'ORDER_1' } },
      // The records name whole seconds.
      occurredAt: Math.floor(endedAt / 1000) * 1000,
    });

    await flow.pass(60);
    flow.lost = false;
    flow.simulator.emit('linksfield-csss', {
      sim_id: iccid(1),
      order_id: 'ORDER_1',
      status: '1008',
      occurred_at: String(endedAt),
    });
    await flow.pass(10);
    const second = await flow.system.reconcile();
    await flow.pass(10);
    expect(runOf(second, 'linksfield-csss')).toMatchObject({ events: 0 });
    expect(flow.simulator.orders()).toHaveLength(1);
  });

  it('buys once too when the late callback names no time', async () => {
    const flow = await open();
    await csssSim(flow, iccid(1), ['ORDER_1']);
    flow.lost = true;
    flow.simulator.expireOrder('ORDER_1');
    await flow.pass(40);
    await flow.system.reconcile();
    await flow.pass(10);
    flow.lost = false;
    flow.simulator.emit('linksfield-csss', { sim_id: iccid(1), order_id: 'ORDER_1', status: '1008' });
    await flow.pass(10);
    expect(flow.simulator.orders()).toHaveLength(1);
  });

  it('is not made up for when it did come, and buys once', async () => {
    const flow = await open();
    await csssSim(flow, iccid(1), ['ORDER_1']);
    flow.simulator.expireOrder('ORDER_1');
    await flow.pass(60);
    expect(flow.simulator.orders()).toHaveLength(1);
    const result = await flow.system.reconcile();
    await flow.pass(10);
    expect(runOf(result, 'linksfield-csss')).toMatchObject({ events: 0, opened: 0 });
    expect(flow.simulator.orders()).toHaveLength(1);
  });

  it('buys nothing when the end lies further back than the rules look', async () => {
    const flow = await open();
    await csssSim(flow, iccid(1), ['ORDER_1']);
    await flow.system.reconcile();
    flow.lost = true;
    flow.simulator.expireOrder('ORDER_1');
    await flow.pass(60 * 24 * 3 + 60);
    flow.simulator.setUsage('ORDER_1', 1);
    // The SIM is looked at again because something tells of an order.
    flow.lost = false;
    flow.simulator.emit('linksfield-csss', { sim_id: iccid(1), order_id: 'ORDER_1', percent: '100' });
    await flow.work();
    const result = await flow.system.reconcile();
    await flow.pass(10);
    expect(runOf(result, 'linksfield-csss')).toMatchObject({ events: 0, opened: 1 });
    expect((await flow.findings('open')).map(({ kind }) => kind)).toEqual(['callback-missing']);
    expect(flow.simulator.orders()).toEqual([]);
  });

  it('is a finding only, where the zone of the end is not known', async () => {
    const flow = await open();
    await boughtAtEiotclub(flow);
    const [order] = flow.simulator.orders();
    await flow.system.reconcile();
    flow.lost = true;
    flow.simulator.startOrder(order?.recordId ?? '');
    flow.simulator.expireOrder(order?.recordId ?? '');
    await flow.pass(10);
    expect(runOf(await flow.system.reconcile(), 'eiotclub')).toMatchObject({ opened: 0, events: 0 });
    await flow.pass(40);
    expect(runOf(await flow.system.reconcile(), 'eiotclub')).toMatchObject({ opened: 1, events: 0 });
    const [finding] = await flow.findings('open');
    expect(finding).toMatchObject({ kind: 'callback-missing', orderId: order?.recordId });
  });
});

describe('an order that is not ours', () => {
  it('is a finding when it was placed by hand while we watch the SIM, recorded once', async () => {
    const flow = await open();
    await boughtAtEiotclub(flow);
    expect(runOf(await flow.system.reconcile(), 'eiotclub')).toMatchObject({ opened: 0, sims: 1 });

    const [byHand] = flow.simulator.addSim({
      provider: 'eiotclub',
      simId: iccid(1),
      packages: [{ code: 'PKG003', state: 'waiting' }],
    });
    expect(runOf(await flow.system.reconcile(), 'eiotclub')).toMatchObject({ opened: 1 });
    expect(runOf(await flow.system.reconcile(), 'eiotclub')).toMatchObject(nothingNew);
    const findings = await flow.findings();
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({
      kind: 'order-not-ours',
      orderId: String(byHand?.number),
      state: { name: 'open' },
    });
    expect(flow.simulator.orders()).toHaveLength(1);
  });

  it('is a finding at the first look, where its time can be placed after our first row of the SIM', async () => {
    const flow = await open();
    await csssSim(flow, iccid(1), ['ORDER_1']);
    await flow.pass(30);
    flow.simulator.addSim({
      provider: 'linksfield-csss',
      simId: iccid(1),
      packages: [{ code: csssPackage, state: 'waiting', orderId: 'BY_HAND' }],
    });
    await flow.system.reconcile();
    const findings = await flow.findings('open');
    expect(findings.map(({ kind, orderId }) => [kind, orderId])).toEqual([['order-not-ours', 'BY_HAND']]);
  });
});

describe('a purchase that is parked because several orders may be it', () => {
  it('is told which orders those are, once, and none of them is called foreign meanwhile', async () => {
    const flow = await open();
    await csssSim(flow, iccid(1), ['ORDER_1']);
    await flow.pass(30);
    flow.simulator.faults.add({
      match: { provider: 'linksfield-csss', path: '/package/orderPackage' },
      fault: { kind: 'drop', commit: true },
    });
    flow.simulator.expireOrder('ORDER_1');
    await flow.simulator.callbacks.settled();
    flow.lost = true;
    await flow.system.drain();
    flow.simulator.addSim({
      provider: 'linksfield-csss',
      simId: iccid(1),
      packages: [{ code: csssPackage, state: 'waiting', orderId: 'BY_HAND' }],
    });
    await flow.pass(30);
    const [action] = await flow.actions();
    expect(action?.state).toMatchObject({ name: 'parked', reason: 'several-candidates' });

    expect(runOf(await flow.system.reconcile(), 'linksfield-csss')).toMatchObject({ noted: 1, opened: 0 });
    expect(runOf(await flow.system.reconcile(), 'linksfield-csss')).toMatchObject(nothingNew);
    const row = await loadAction(flow.table, action?.actionId ?? '');
    expect(row?.value.notes).toHaveLength(1);
    expect(row?.value.notes[0]).toMatchObject({ by: 'reconcile' });
    const [purchase] = flow.simulator.orders();
    expect(row?.value.notes[0]?.reason).toContain('BY_HAND');
    expect(row?.value.notes[0]?.reason).toContain(purchase?.recordId);
    expect(row?.value.notes[0]?.reason).not.toContain('ORDER_1');
    expect(flow.simulator.orders()).toHaveLength(1);
  });
});

describe('the ledger', () => {
  it('gets the price that the records show in the place of an estimate, in all sums', async () => {
    const flow = await open();
    await boughtAtEiotclub(flow);
    const [before] = await flow.actions();
    expect(before?.money.chargedMinor).toBe(700);

    expect(runOf(await flow.system.reconcile(), 'eiotclub')).toMatchObject({ booked: 1, opened: 0 });

    const [action] = await flow.actions();
    if (action === undefined) throw new Error('nothing was bought');
    expect(action.money).toEqual({ currency: 'USD', reservedMinor: 0, chargedMinor: 500, refundedMinor: 0 });
    expect(sumLedger(action.ledger, 'USD')).toEqual(action.money);
    const day = utcDay(epochMs(start));
    expect(await loadCapSums(flow.table, 'eiotclub', day)).toMatchObject({
      total: 500,
      'rule:renew-low-data': 500,
    });
    expect((await loadSim(flow.table, action.subject.key)).value.committedMinor[day]).toBe(500);
    expect(runOf(await flow.system.reconcile(), 'eiotclub')).toMatchObject({ booked: 0 });
  });

  it('books a refund that the records show and no callback told of, once', async () => {
    const flow = await open();
    await boughtAtEiotclub(flow);
    await flow.system.reconcile();
    const [purchase] = flow.simulator.orders();
    const order = flow.simulator.books.orders.get(`eiotclub/${purchase?.recordId}`);
    if (order === undefined) throw new Error('nothing was bought');
    order.refundedAt = flow.now();
    await flow.pass(5);
    expect(runOf(await flow.system.reconcile(), 'eiotclub')).toMatchObject({ booked: 0 });
    await flow.pass(60);
    expect(runOf(await flow.system.reconcile(), 'eiotclub')).toMatchObject({ booked: 1, mended: 1 });
    await flow.pass(60);
    expect(runOf(await flow.system.reconcile(), 'eiotclub')).toMatchObject({ booked: 0, mended: 0 });
    const [action] = await flow.actions();
    expect(action?.money).toMatchObject({ chargedMinor: 500, refundedMinor: 500 });
    expect(action?.ledger.at(-1)).toMatchObject({ kind: 'refunded', estimated: true });
  });
});

describe('an order that the provider forgot', () => {
  it('is a finding once it has stayed away, and is resolved when it shows again', async () => {
    const flow = await open();
    flow.simulator.faults.add({
      match: { provider: 'eiotclub', path: '/api/v3/package/orderPackage' },
      fault: { kind: 'forget-order', charged: true },
    });
    await boughtAtEiotclub(flow);
    await flow.pass(60);
    expect(runOf(await flow.system.reconcile(), 'eiotclub')).toMatchObject({ opened: 0 });
    await flow.pass(35);
    expect(runOf(await flow.system.reconcile(), 'eiotclub')).toMatchObject({ opened: 1 });
    expect(runOf(await flow.system.reconcile(), 'eiotclub')).toMatchObject({ opened: 0 });
    const [finding] = await flow.findings('open');
    expect(finding).toMatchObject({ kind: 'order-missing' });

    const [purchase] = flow.simulator.orders();
    Object.assign(flow.simulator.books.orders.get(`eiotclub/${purchase?.recordId}`) ?? {}, {
      visibleFrom: 0,
    });
    expect(runOf(await flow.system.reconcile(), 'eiotclub')).toMatchObject({ gone: 1 });
    expect(await flow.findings('open')).toEqual([]);
    const [resolved] = await flow.findings('all');
    expect(resolved?.state).toMatchObject({ name: 'resolved', by: 'reconcile' });
  });
});

describe('a run', () => {
  it('reads every page of a list', async () => {
    const flow = await open({ orderPageSize: 2 });
    await csssSim(flow, iccid(1), ['ORDER_1', 'ORDER_2', 'ORDER_3', 'ORDER_4', 'ORDER_5']);
    expect(runOf(await flow.system.reconcile(), 'linksfield-csss')).toMatchObject({ calls: 3, opened: 0 });
    flow.simulator.addSim({
      provider: 'linksfield-csss',
      simId: iccid(1),
      packages: [{ code: csssPackage, state: 'waiting', orderId: 'SIXTH', createdAt: flow.now() + 60_000 }],
    });
    await flow.pass(20);
    await flow.system.reconcile();
    expect((await flow.findings('open')).map(({ orderId }) => orderId)).toEqual(['SIXTH']);
  });

  it('that ends early goes on next time, in the middle of a list too, and comes to the same', async () => {
    const flow = await open({ orderPageSize: 2 });
    for (let n = 1; n <= 4; n++) {
      await csssSim(flow, iccid(n), [`O_${n}_1`, `O_${n}_2`, `O_${n}_3`, `O_${n}_4`, `O_${n}_5`]);
    }
    await flow.pass(30);
    for (let n = 1; n <= 4; n++) {
      flow.simulator.addSim({
        provider: 'linksfield-csss',
        simId: iccid(n),
        packages: [{ code: csssPackage, state: 'waiting', orderId: `HAND_${n}` }],
      });
    }
    // A pause of four minutes leaves a run of 14 minutes four questions, so it ends inside a list of three pages.
    flow.waitMs = 4 * 60_000;
    const ends: string[] = [];
    const calls: number[] = [];
    for (let i = 0; i < 4; i++) {
      const run = runOf(await flow.system.reconcile(), 'linksfield-csss');
      ends.push(run.end);
      calls.push(run.calls);
      if (run.end === 'done') break;
    }
    expect(ends).toEqual(['out-of-time', 'out-of-time', 'done']);
    expect(calls).toEqual([4, 4, 4]);
    const found = (await flow.findings('open')).map(({ orderId }) => orderId);
    expect(found.sort()).toEqual(['HAND_1', 'HAND_2', 'HAND_3', 'HAND_4']);
  });

  it('finds nothing new when it is repeated', async () => {
    const flow = await open();
    await boughtAtEiotclub(flow);
    await csssSim(flow, iccid(2), ['ORDER_1']);
    await flow.system.reconcile();
    const rows = async () => [await flow.actions(), await flow.findings()];
    const before = await rows();
    const again = await flow.system.reconcile();
    for (const run of again.providers) expect(run).toMatchObject(nothingNew);
    expect(await rows()).toEqual(before);
    expect(flow.notices.filter(({ kind }) => kind !== 'booked')).toEqual([]);
  });

  it('never buys by itself and keeps to the limits of the account', async () => {
    const flow = await open({ orderPageSize: 1, rules: [] });
    for (let n = 1; n <= 8; n++) await csssSim(flow, iccid(n), [`O_${n}_1`, `O_${n}_2`, `O_${n}_3`]);
    const before = flow.simulator.requests({ provider: 'linksfield-csss' }).length;
    const run = runOf(await flow.system.reconcile(), 'linksfield-csss');
    const requests = flow.simulator.requests({ provider: 'linksfield-csss' }).slice(before);
    expect(run).toMatchObject({ end: 'done', sims: 8 });
    expect(requests).toHaveLength(24);
    expect(
      requests.every(({ path, verdict }) => path === '/package/queryOrder' && verdict === 'accepted'),
    ).toBe(true);
    const most = Math.max(
      ...requests.map(({ at }) => requests.filter((other) => other.at >= at && other.at < at + 1_000).length),
    );
    expect(most).toBeLessThanOrEqual(6);
    expect(flow.simulator.orders()).toEqual([]);
  });

  it('leaves a provider that does not answer until the next run, and looks at the other all the same', async () => {
    const flow = await open();
    for (let n = 1; n <= 7; n++) await boughtAtEiotclub(flow, iccid(n));
    await csssSim(flow, iccid(20), ['ORDER_1']);
    flow.simulator.faults.add({
      match: { provider: 'eiotclub' },
      times: Number.POSITIVE_INFINITY,
      fault: { kind: 'http-error', status: 500, commit: false },
    });
    const down = await flow.system.reconcile();
    expect(runOf(down, 'eiotclub')).toMatchObject({ end: 'provider-unavailable', sims: 0, unread: 5 });
    expect(runOf(down, 'linksfield-csss')).toMatchObject({ end: 'done', sims: 1 });
    expect(await flow.findings()).toEqual([]);

    flow.simulator.faults.clear();
    expect(runOf(await flow.system.reconcile(), 'eiotclub')).toMatchObject({ end: 'done', sims: 2 });
    expect(runOf(await flow.system.reconcile(), 'eiotclub')).toMatchObject({ end: 'done', sims: 7 });
  });
});
