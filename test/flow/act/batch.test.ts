import { afterEach, expect, test, vi } from 'vitest';
import { pollOnce } from '../../../infra/local/queue-poller.ts';
import { topology } from '../../../infra/topology.ts';
import { minutes, seconds } from '../../../shared/core/time.ts';
import type { Table } from '../../../shared/store/table.ts';
import { openShop, type Shop, type ShopOptions } from '../shop.ts';

// Purchases of one batch wait for the provider at the same time, each with its own claim and its own end.

let shop: Shop;
afterEach(() => shop.close());

const sims = Array.from({ length: topology.act.batchSize }, (_, i) => `8985200026332081${1000 + i}`);
const orderPath = /orderPackage/;

async function openWith(options: ShopOptions = {}): Promise<void> {
  shop = await openShop(options);
  for (const simId of sims)
    shop.simulator.addSim({ provider: 'eiotclub', simId, packages: [{ code: 'PKG001', state: 'active' }] });
}

/** Alerts for every SIM, judged, so that all their actions wait in the queue; then one invocation of act. */
async function actOnAll(): Promise<void> {
  for (const iccid of sims) shop.alert(iccid);
  await shop.simulator.callbacks.settled();
  for (const source of shop.system.sources) await pollOnce(source);
}

const ordersAsked = () =>
  shop.simulator.requests({ provider: 'eiotclub' }).filter(({ path }) => orderPath.test(path));

test('makes the calls of a batch side by side: none is answered before the last has arrived', async () => {
  await openWith();
  const slow = { kind: 'slow', afterMs: seconds(5) } as const;
  shop.simulator.faults.add({ match: { path: orderPath }, fault: slow, times: sims.length });
  const acting = actOnAll();
  // The simulator answers by the test's clock, which stands until all have asked.
  await vi.waitFor(() => expect(ordersAsked()).toHaveLength(sims.length));
  expect(shop.told.filter(({ what }) => what === 'succeeded')).toEqual([]);
  shop.clock.advance(seconds(5));
  await acting;
  for (const simId of sims) expect((await shop.actionOf(simId)).state.name).toBe('succeeded');
  expect(ordersAsked()).toHaveLength(sims.length);
});

test('leaves only the purchase in doubt whose answer was lost, and settles each once', async () => {
  await openWith();
  shop.simulator.faults.add({ match: { path: orderPath }, fault: { kind: 'drop', commit: true }, times: 1 });
  await actOnAll();
  const states = await Promise.all(sims.map(async (simId) => (await shop.actionOf(simId)).state.name));
  expect(states.toSorted()).toEqual(['succeeded', 'succeeded', 'succeeded', 'succeeded', 'unknown']);
  await shop.pass(minutes(2), seconds(5));
  for (const simId of sims) expect((await shop.actionOf(simId)).state.name).toBe('succeeded');
  expect(shop.simulator.orders({ provider: 'eiotclub' })).toHaveLength(sims.length);
});

test('loses no write to another purchase of its own batch', async () => {
  let refused = 0;
  const wrapTable = (table: Table): Table => ({
    ...table,
    write: async (changes) => {
      const written = await table.write(changes);
      if (!written.ok) refused += 1;
      return written;
    },
  });
  await openWith({ wrapTable });
  await actOnAll();
  for (const simId of sims) expect((await shop.actionOf(simId)).state.name).toBe('succeeded');
  expect(refused).toBe(0);
});

test('keeps a cap that a batch would pass: what fits is bought, the rest is parked', async () => {
  await openWith({ eiotclub: { caps: { provider: { day: '15.00 USD' } } } });
  await actOnAll();
  const states = await Promise.all(sims.map(async (simId) => (await shop.actionOf(simId)).state.name));
  expect(states.toSorted()).toEqual(['parked', 'parked', 'succeeded', 'succeeded', 'succeeded']);
  expect(shop.simulator.orders({ provider: 'eiotclub' })).toHaveLength(3);
});

test('holds no more connections than the account has: the others of the batch come back for theirs', async () => {
  await openWith({ eiotclub: { limits: { connectionsMax: 3 } } });
  const slow = { kind: 'slow', afterMs: seconds(5) } as const;
  shop.simulator.faults.add({ match: { path: orderPath }, fault: slow, times: 3 });
  const acting = actOnAll();
  await vi.waitFor(() => expect(ordersAsked()).toHaveLength(3));
  const waiting = () => shop.logged.filter(({ message }) => message === 'action waits');
  await vi.waitFor(() => expect(waiting()).toHaveLength(2));
  expect(ordersAsked()).toHaveLength(3);
  shop.clock.advance(seconds(5));
  await acting;
  await shop.pass(minutes(2), seconds(5));
  for (const simId of sims) expect((await shop.actionOf(simId)).state.name).toBe('succeeded');
  expect(shop.simulator.orders({ provider: 'eiotclub' })).toHaveLength(sims.length);
});
